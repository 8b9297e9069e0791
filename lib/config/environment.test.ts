import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEnvironment } from './environment.ts';

test('variables set the own parameters of their name, and nothing else', () => {
  const { configDirectory, parameters } = readEnvironment({
    MAIL_CONFIG: '/etc/mail',
    POSTFLEET_NATS_URL: 'nats://a',
    POSTFLEET_NO_SUCH: 'x',
    MYHOSTNAME: 'x',
    postfleet_shards: '3',
  });
  assert.equal(configDirectory, '/etc/mail');
  assert.deepEqual([...parameters], [['postfleet_nats_url', 'nats://a']]);
});

test('an empty MAIL_CONFIG is none', () => {
  assert.equal(readEnvironment({ MAIL_CONFIG: '' }).configDirectory, '/etc/postfix');
});
