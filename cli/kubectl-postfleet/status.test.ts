import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAIL, NOW, POD, runPlugin } from './cluster-for-tests.ts';
import { exitStatus } from './kubernetes-cluster.ts';
import { renderStatus } from './status.ts';
import { age } from './table.ts';
import { withoutPasswords } from './without-passwords.ts';

test('the status of a MailServer is shown with its queue, its durability and its ill pods', () => {
  const ill = { ...POD, name: 'mail-smtpd-2', ready: false, restarts: 4 };
  assert.equal(
    renderStatus(MAIL, [POD, ill], NOW),
    [
      'default/mail  mail.example.test',
      '',
      'CONDITION  STATUS  FOR  REASON    MESSAGE',
      'Ready      True    5m   AllReady  all services are ready',
      '',
      'SERVICE  DAEMON  READY  UP TO DATE',
      'smtpd    smtpd   1/2    2',
      '',
      'Queue:       7 messages, 2 active, 5 deferred, oldest 2h',
      'Durability:  log fsync, 3 replicas on 3 servers; Postgres synchronous',
      '',
      'PODS THAT ARE NOT READY',
      'NAME          PHASE    READY  RESTARTS  AGE  NODE',
      'mail-smtpd-2  Running  no     4         60m  node1',
      '',
    ].join('\n'),
  );
});

test('a MailServer that is ready ends with 0', async () => {
  assert.equal((await runPlugin(['status'])).status, 0);
});

test('ready of an earlier generation is not ready', async () => {
  const changed = { ...MAIL, metadata: { ...MAIL.metadata, generation: 4 } };
  const { status, stdout } = await runPlugin(['status'], { mailServers: [changed] });
  assert.equal(status, 1);
  assert.match(stdout, /the last change is not yet taken up/);
  assert.match(stdout, /Ready +True \(stale\)/);
});

test('a MailServer that no operator has seen says so', async () => {
  const { status, stdout } = await runPlugin(['status'], { mailServers: [{ metadata: MAIL.metadata, spec: {} }] });
  assert.equal(status, 1);
  assert.match(stdout, /The operator has not said anything yet/);
});

test('the status as JSON has what the operator wrote, and the pods', async () => {
  const { stdout } = await runPlugin(['status', '-j']);
  const { name, generation, status, pods } = JSON.parse(stdout);
  assert.deepEqual(
    { name, generation, status, pods },
    { name: 'mail', generation: 3, status: MAIL.status, pods: [POD] },
  );
});

test('a report has every part, and says of those that cannot be had why', async () => {
  const answers = {
    'postconf -n': { stdout: 'virtual_alias_maps = pgsql://mail:secret@db/x\n' },
    'postqueue -j': { stdout: 'no JSON\n' },
  };
  const { status, stdout } = await runPlugin(['report'], { answers });
  assert.equal(status, 0);
  assert.match(stdout, /== settings\nvirtual_alias_maps = pgsql:\/\/mail:…@db\/x\n/);
  assert.match(
    stdout,
    /== events\nAGE .*\n60s +Warning +ConfigInvalid +MailServer\/mail +main.cf line 3 \(2 times\)\n/,
  );
  assert.match(stdout, /== queue by destination\nnot to be had: not an item of a queue listing/);
  assert.match(stdout, /== remarkable log lines\nmail-showq-1: postfix\/qmgr\[1\]: warning: something\n/);
  assert.doesNotMatch(stdout, /removed/);
});

test('passwords in URLs are struck out, whatever stands around them', () => {
  assert.equal(withoutPasswords('"nats://u:p%40ss@h:4222", x'), '"nats://u:…@h:4222", x');
  assert.equal(withoutPasswords('http://host:80/a@b'), 'http://host:80/a@b');
});

test('ages are in the largest unit of which there are two', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [119_000, '119s'],
    [120_000, '2m'],
    [7_200_000, '2h'],
    [172_800_000, '2d'],
    [-5, '0s'],
  ];
  for (const [milliseconds, shown] of cases) assert.equal(age(milliseconds), shown);
});

test('the exit status of a program in a pod is read from the answer of the API server', () => {
  assert.equal(exitStatus({ status: 'Success' }, 'p'), 0);
  const failed = { status: 'Failure', details: { causes: [{ reason: 'ExitCode', message: '69' }] } };
  assert.equal(exitStatus(failed, 'p'), 69);
  assert.throws(() => exitStatus({ status: 'Failure', message: 'no such container' }, 'p'), /p: no such container/);
});
