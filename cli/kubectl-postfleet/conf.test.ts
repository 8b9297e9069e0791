import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runPlugin } from './cluster-for-tests.ts';
import { splitTables } from './lookup.ts';

const COMMANDS: readonly { readonly argv: string; readonly runs: string }[] = [
  { argv: 'conf', runs: 'postconf -n' },
  { argv: 'conf --all', runs: 'postconf' },
  { argv: 'conf --expand', runs: 'postconf -n -x' },
  { argv: 'conf --master', runs: 'postconf -M' },
  { argv: 'conf --defaults', runs: 'postconf -d' },
  { argv: 'conf myhostname mydomain', runs: 'postconf myhostname mydomain' },
  { argv: 'conf --defaults myorigin', runs: 'postconf -d myorigin' },
];
for (const { argv, runs } of COMMANDS) {
  test(`${argv} runs ${runs}`, async () => {
    const answers = { [runs]: { stdout: 'myhostname = mail.example.test\n' } };
    const { commands, stdout } = await runPlugin(argv.split(' '), { answers });
    assert.deepEqual(
      commands.map(({ command }) => command),
      [runs],
    );
    assert.equal(stdout, 'myhostname = mail.example.test\n');
  });
}

test('settings as JSON are texts, empty ones and those with equals signs too', async () => {
  const stdout = 'mydestination =\nsmtpd_banner = $myhostname ESMTP = x\n';
  const result = await runPlugin(['conf', '-j'], { answers: { 'postconf -n': { stdout } } });
  assert.deepEqual(JSON.parse(result.stdout), { mydestination: '', smtpd_banner: '$myhostname ESMTP = x' });
});

test('passwords of stores are not shown', async () => {
  const stdout = 'postfleet_nats_url = nats://postfleet:secret@nats:4222\n';
  for (const argv of [['conf'], ['conf', '-j']]) {
    const result = await runPlugin(argv, { answers: { 'postconf -n': { stdout } } });
    assert.match(result.stdout, /nats:\/\/postfleet:…@nats:4222/);
  }
});

test('a list of tables is split at blanks and commas outside of braces', () => {
  assert.deepEqual(splitTables('hash:/a, inline:{ x=y, z=w } static:b\n'), [
    'hash:/a',
    'inline:{ x=y, z=w }',
    'static:b',
  ]);
  assert.deepEqual(splitTables(' \n'), []);
});

test('a key is asked of each table of a parameter until one has it', async () => {
  const answers = {
    'postconf -hx virtual_alias_maps': { stdout: 'hash:/a, hash:/b, hash:/c\n' },
    'postmap -q k@example.test hash:/a': { status: 1 },
    'postmap -q k@example.test hash:/b': { stdout: 'you@example.test\n' },
  };
  const { status, stdout } = await runPlugin(['lookup', 'virtual_alias_maps', 'k@example.test'], { answers });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'k@example.test\tyou@example.test\t(hash:/b)\n' });
});

test('a key that no table has ends with 1', async () => {
  const answers = {
    'postmap -q yes hash:/a': { stdout: 'found\n' },
    'postmap -q no hash:/a': { status: 1 },
  };
  const { status, stdout } = await runPlugin(['lookup', '-j', 'hash:/a', 'yes', 'no'], { answers });
  assert.equal(status, 1);
  assert.deepEqual(JSON.parse(stdout), [{ key: 'yes', table: 'hash:/a', value: 'found' }, { key: 'no' }]);
});

test('a table that cannot be asked is not a key that is missing', async () => {
  const answers = { 'postmap -q k hash:/none': { status: 69, stderr: 'postmap: fatal: open: no such file\n' } };
  const { status, stderr } = await runPlugin(['lookup', 'hash:/none', 'k'], { answers });
  assert.equal(status, 69);
  assert.match(stderr, /no such file\n.*cannot be asked/);
});
