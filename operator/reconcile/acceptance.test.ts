import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentsHash } from '../../lib/config/contents.ts';
import { checkMailServer } from '../../lib/mailserver/check.ts';
import { CONTAINER, SERVICE_LABEL } from '../plan/input.ts';
import { AcceptanceWatch } from './acceptance.ts';

const { checked } = checkMailServer({
  apiVersion: 'postfleet.dev/v1alpha1',
  kind: 'MailServer',
  metadata: { name: 'mail' },
  spec: {
    mainCf: { myhostname: 'mail.example.test', mydestination: '', mynetworks: '127.0.0.0/8' },
    nats: { url: 'nats://nats:4222' },
    postgres: { url: 'postgres://postgres/postfleet' },
  },
});
assert.ok(checked);
const present = contentsHash(checked.mainCf, checked.masterCf);

type Pod = Parameters<AcceptanceWatch['look']>[1][number];

const pod = (service: string, podIP: string, ...entries: readonly string[]): Pod => ({
  metadata: { name: service, namespace: 'post', uid: service, labels: { [SERVICE_LABEL]: service } },
  spec: { containers: [{ name: CONTAINER, args: ['smtpd', ...entries.flatMap((entry) => ['--service', entry])] }] },
  status: { phase: 'Running', podIP },
});

test('a configuration that a pod refuses is refused', async () => {
  const watch = new AcceptanceWatch(async () => ({ read: present, refused: 'no' }));
  const { verdict } = await watch.look('post/mail', [pod('smtpd', '10.0.0.1', 'smtp/inet')], checked);
  assert.equal(verdict, 'refused');
});

test('a pod whose entry is no longer in master.cf has no say', async () => {
  const watch = new AcceptanceWatch(async (address) => ({
    read: present,
    refused: address === '10.0.0.2' ? 'master.cf has no entry submission/inet with command smtpd' : '',
  }));
  const pods = [pod('smtpd', '10.0.0.1', 'smtp/inet'), pod('submission', '10.0.0.2', 'submission/inet')];
  assert.deepEqual(await watch.look('post/mail', pods, checked), { verdict: 'taken' });
});
