import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import {
  type Cleanup,
  type DeliveryAgent,
  DeliveryStatus,
  type SubmitRequest,
  SubmitStatus,
  type TrivialRewrite,
} from '../../lib/clients/protocols.ts';
import { startAgent, statusOf, temporaryDirectory } from '../../test/support/delivery.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: t\n\nFrom here\n');
const ME = userInfo().username;

/** Completes addresses with example.org, which is local; everything else goes by smtp. */
const rewrite: TrivialRewrite = {
  rewrite: async (requests) =>
    requests.map(({ address }) => (address.includes('@') ? address : `${address}@example.org`)),
  resolve: async (requests) =>
    requests.map(({ address }) => ({
      transport: address.endsWith('@example.org') ? 'local' : 'smtp',
      nexthop: 'example.org',
      recipient: address,
      flags: 0,
    })),
};

function recordingCleanup(status: SubmitStatus = SubmitStatus.QUEUED) {
  const submitted: { sender: string; to: string[]; content: string; request: SubmitRequest }[] = [];
  const submit = async (request: SubmitRequest) => {
    submitted.push({
      sender: request.envelope!.sender,
      to: request.envelope!.recipients.map(({ address }) => address),
      content: request.content.toString('latin1'),
      request,
    });
    return { status, queueId: 'FORWARDED', enhancedStatus: '', reason: '' };
  };
  const cleanup: Cleanup = { submit, submitLarge: submit };
  return { submitted, cleanup };
}

async function withSpool(
  mainCf: string,
  parts: { agents?: Record<string, DeliveryAgent>; submitStatus?: SubmitStatus } = {},
) {
  const directory = await temporaryDirectory();
  const base = directory.path;
  await mkdir(`${base}/spool`);
  await mkdir(`${base}/forward`);
  if (process.geteuid?.() === 0) await chmod(base, 0o755);
  const { submitted, cleanup } = recordingCleanup(parts.submitStatus);
  const agent = await startAgent(service, {
    mainCf: `mail_spool_directory = ${base}/spool
alias_maps =
forward_path = ${base}/forward/$user\${recipient_delimiter}\${extension}, ${base}/forward/$user
recipient_delimiter = +
postfleet_mailbox_owner = self
queue_directory = ${base}
command_time_limit = 5s
${mainCf.replaceAll('BASE', base)}`,
    cleanup,
    rewrite,
    agents: parts.agents ?? {},
  });
  return {
    agent,
    base,
    submitted,
    async status(address: string): Promise<string> {
      const reply = await agent.deliver({ content }, address);
      assert.equal(reply.recipients.length, 1);
      return statusOf(reply)[0]!.replaceAll(base, 'BASE');
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('mail for a user of the host is appended to the file of that name in the spool directory', async () => {
  await using t = await withSpool('');
  const address = `${ME.toUpperCase()}+ext@example.org`;
  assert.equal(await t.status(address), '2.0.0 delivered to mailbox');
  const mailbox = await readFile(`${t.base}/spool/${ME}`, 'latin1');
  assert.match(
    mailbox,
    /^From sender@example\.com {2}.*\nReturn-Path: <sender@example\.com>\nX-Original-To: (.*)\nDelivered-To: \1\nSubject: t\n\n>From here\n\n$/,
  );
  assert.match(
    t.agent.lines[0]!,
    /: to=<.*\+ext@example\.org>, relay=local, .*, status=sent \(delivered to mailbox\)$/,
  );
});

const cases: [name: string, mainCf: string, recipient: string, expected: string][] = [
  ['a name that is no user bounces', '', 'NoSuch+x@example.org', '5.1.1 unknown user: "nosuch"'],
  [
    'a spool directory with a slash at its end holds maildirs',
    'mail_spool_directory = BASE/spool/',
    ME,
    '2.0.0 delivered to maildir',
  ],
  ['an alias to a local user is followed', `alias_maps = inline:{one=${ME}}`, 'one', '2.0.0 delivered to mailbox'],
  [
    'an alias without its extension is found',
    `alias_maps = inline:{one=${ME}}`,
    'one+foo',
    '2.0.0 delivered to mailbox',
  ],
  ['a circle of aliases bounces', 'alias_maps = inline:{a=b, b=a}', 'a', '5.4.6 alias database loop for a'],
  [
    'an alias to itself is the user of that name',
    'alias_maps = inline:{self=self}',
    'self',
    '5.1.1 unknown user: "self"',
  ],
  [
    'several addresses are forwarded',
    `alias_maps = inline:{{two=${ME}, x@remote.example}}`,
    'two',
    '2.0.0 forwarded as FORWARDED',
  ],
  ['a failing alias table defers', 'alias_maps = fail:x', 'one', '4.3.0 alias database unavailable'],
  [
    'a command is run',
    'alias_maps = inline:{{cmd="|cat > BASE/out; echo hello"}}',
    'cmd',
    '2.0.0 delivered to command: cat > BASE/out; echo hello',
  ],
  ['the exit status of a command counts', 'alias_maps = inline:{{cmd="|exit 67"}}', 'cmd', '5.1.1 user unknown'],
  [
    'output of a failing command is reported',
    'alias_maps = inline:{{cmd="|echo no; echo no; exit 75"}}',
    'cmd',
    '4.3.0 temporary failure. Command output: no no ',
  ],
  [
    'output that begins with a status code decides',
    'alias_maps = inline:{{cmd="|echo 5.7.1 not you; exit 75"}}',
    'cmd',
    '5.7.1 not you ',
  ],
  [
    'a command killed by a signal defers',
    'alias_maps = inline:{{cmd="|kill -9 $$$$"}}',
    'cmd',
    '4.3.0 Command died with signal 9: "kill -9 $$"',
  ],
  [
    'a command that takes too long is ended',
    'command_time_limit = 1s\nalias_maps = inline:{{cmd="|sleep 30"}}',
    'cmd',
    '5.3.0 Command time limit exceeded: "sleep 30"',
  ],
  [
    'commands can be forbidden',
    'allow_mail_to_commands =\nalias_maps = inline:{{cmd="|true"}}',
    'cmd',
    '5.7.1 mail to command is restricted',
  ],
  [
    'files can be forbidden',
    'allow_mail_to_files =\nalias_maps = inline:{file=/tmp/x}',
    'file',
    '5.7.1 mail to file is restricted',
  ],
  [
    'the null device takes everything',
    'alias_maps = inline:{file=/dev/null}',
    'file',
    '2.0.0 delivered to file: /dev/null',
  ],
  [
    'a missing :include: file bounces',
    'alias_maps = inline:{inc=:include:BASE/none}',
    'inc',
    '5.3.5 mail system configuration error',
  ],
  [
    'luser_relay takes unknown users',
    'luser_relay = catch+$local@remote.example',
    'nosuch',
    '2.0.0 forwarded as FORWARDED',
  ],
  ['a luser_relay that is unknown itself bounces', 'luser_relay = alsonot', 'nosuch', '5.1.1 unknown user: "alsonot"'],
  [
    'mailbox_command is run for users',
    'mailbox_command = test "$USER" = "$LOGNAME"',
    ME,
    `2.0.0 delivered to command: test "$USER" = "$LOGNAME"`,
  ],
  [
    'a transport that does not exist defers',
    'mailbox_transport = lmtp:host',
    ME,
    '4.3.5 mail transport "lmtp" is not in master.cf',
  ],
  [
    'names of local_recipient_maps have mailboxes too',
    'local_recipient_maps = inline:{joe=x}',
    'joe',
    '2.0.0 delivered to mailbox',
  ],
  [
    'a message above mailbox_size_limit bounces',
    'message_size_limit = 40\nmailbox_size_limit = 40',
    ME,
    `5.2.2 cannot update mailbox BASE/spool/${ME} for user ${ME}. error writing message: File too large`,
  ],
];
for (const [name, mainCf, recipient, expected] of cases) {
  test(name, async () => {
    await using t = await withSpool(mainCf);
    assert.equal(await t.status(recipient.includes('@') ? recipient : `${recipient}@example.org`), expected);
  });
}

test('forwarded mail has a Delivered-To: header, a key, and a row for each address', async () => {
  await using t = await withSpool(`alias_maps = inline:{{two=${ME}, x@remote.example, x@remote.example}}`);
  await t.status('two@example.org');
  assert.deepEqual(
    t.submitted.map(({ sender, to, content: text, request }) => [sender, to, text, request.envelope!.idempotenceKey]),
    [
      [
        'sender@example.com',
        [`${ME}@example.org`, 'x@remote.example'],
        `Delivered-To: two@example.org\n${content}`,
        'local:4TestQueueId:0:sender@example.com',
      ],
    ],
  );
});

test('an owner- alias becomes the sender', async () => {
  await using t = await withSpool(
    `alias_maps = inline:{{list=a@remote.example, ${ME}, "|cat > BASE/out"}, owner-list=${ME}}`,
  );
  if (process.geteuid?.() === 0) await chmod(t.base, 0o777);
  assert.equal(await t.status('list@example.org'), '2.0.0 delivered to command: cat > BASE/out');
  assert.deepEqual(
    t.submitted.map(({ sender, to }) => [sender, to]),
    [['owner-list@example.org', ['a@remote.example', `${ME}@example.org`]]],
  );
  assert.match(
    await readFile(`${t.base}/out`, 'latin1'),
    /^From owner-list@example\.org .*\nReturn-Path: <owner-list@/,
  );
  assert.match(
    t.agent.lines.join('\n'),
    /status=sent \(forwarded as FORWARDED\)\n.*status=sent \(delivered to command/,
  );
});

test('nothing else is done when forwarding has to wait', async () => {
  await using t = await withSpool('alias_maps = inline:{{list=a@remote.example, "|touch BASE/out"}}', {
    submitStatus: SubmitStatus.WRITE_ERROR,
  });
  assert.equal(await t.status('list@example.org'), '4.3.0 unable to forward message');
  await assert.rejects(stat(`${t.base}/out`), { code: 'ENOENT' });
});

test('addresses of an :include: file are forwarded, commands in it are not run', async () => {
  await using t = await withSpool('alias_maps = inline:{inc=:include:BASE/list, bad=:include:BASE/bad}');
  await writeFile(`${t.base}/list`, `# members\n${ME}\n\nx@remote.example, "y z"@remote.example\n`);
  await writeFile(`${t.base}/bad`, '|/bin/true\n');
  assert.equal(await t.status('inc@example.org'), '2.0.0 forwarded as FORWARDED');
  assert.deepEqual(t.submitted[0]!.to, [`${ME}@example.org`, 'x@remote.example', 'y z@remote.example']);
  assert.equal(await t.status('bad@example.org'), '5.7.1 mail to command is restricted');
});

test('a .forward file sends on, and keeps a copy for its own user', async () => {
  await using t = await withSpool('');
  await writeFile(`${t.base}/forward/${ME}`, `\\${ME}, away@remote.example\n`);
  assert.equal(await t.status(`${ME}@example.org`), '2.0.0 delivered to mailbox');
  assert.deepEqual(t.submitted[0]!.to, ['away@remote.example']);
  assert.match(await readFile(`${t.base}/spool/${ME}`, 'latin1'), /Subject: t/);

  await writeFile(`${t.base}/forward/${ME}+x`, `${ME}+cmd`);
  await writeFile(`${t.base}/forward/${ME}+cmd`, '"|exit 75"');
  assert.equal(await t.status(`${ME}+x@example.org`), '4.3.0 temporary failure');
});

test('a .forward file that anybody can write is not used', async () => {
  await using t = await withSpool('');
  await writeFile(`${t.base}/forward/${ME}`, 'away@remote.example\n');
  await chmod(`${t.base}/forward/${ME}`, 0o666);
  assert.equal(await t.status(`${ME}@example.org`), '2.0.0 delivered to mailbox');
  assert.match(t.agent.lines[0]!, /^warning: file .* is world writable: not used$/);
});

test('an empty .forward file means the mailbox', async () => {
  await using t = await withSpool('');
  await writeFile(`${t.base}/forward/${ME}`, '');
  assert.equal(await t.status(`${ME}@example.org`), '2.0.0 delivered to mailbox');
});

test('commands see the message and a filtered environment', async () => {
  await using t = await withSpool('alias_maps = inline:{{cmd="|cat > BASE/in; env > BASE/env"}}');
  if (process.geteuid?.() === 0) await chmod(t.base, 0o777);
  await t.agent.deliver({ content, sender: '$(reboot);"x"@example.com' }, 'cmd+ext@example.org');
  const environment = (await readFile(`${t.base}/env`, 'latin1')).split('\n');
  for (const line of [
    'USER=cmd',
    'EXTENSION=ext',
    'DOMAIN=example.org',
    'SENDER=__reboot___x_@example.com',
    'PATH=/usr/bin:/bin',
  ]) {
    assert.ok(environment.includes(line), `${line} in ${environment}`);
  }
  assert.equal(
    environment.some((line) => line.startsWith('HOME=')),
    false,
  );
  assert.match(
    await readFile(`${t.base}/in`, 'latin1'),
    /\nDelivered-To: cmd\+ext@example\.org\nSubject: t\n\nFrom here\n$/,
  );
});

test('mailbox_transport hands the recipient to another agent, whose status counts', async () => {
  const asked: string[] = [];
  const lmtp: DeliveryAgent = {
    async deliver(request) {
      asked.push(`${request.transport} ${request.nexthop} ${request.recipients.map(({ address }) => address)}`);
      const notification = {
        status: '5.2.2',
        action: 'failed',
        reason: 'full',
        diagnosticType: '',
        diagnosticText: '',
        remoteMta: '',
      };
      return {
        recipients: [{ offset: request.recipients[0]!.offset, status: DeliveryStatus.BOUNCED, notification }],
        destinationUnavailable: undefined,
        refused: false,
      };
    },
  };
  await using t = await withSpool('fallback_transport = lmtp:unix:/run/lmtp', { agents: { lmtp } });
  assert.equal(await t.status('nosuch@example.org'), '5.2.2 full');
  assert.deepEqual(asked, ['lmtp unix:/run/lmtp nosuch@example.org']);
  assert.deepEqual(t.agent.lines, []);
});

test('a message that was delivered to the recipient before bounces', async () => {
  await using t = await withSpool('');
  const looping = Buffer.from(`Received: x\nDelivered-To: ${ME}@example.org\n\nbody\n`);
  const reply = await t.agent.deliver({ content: looping }, `${ME}@Example.org`);
  assert.deepEqual(statusOf(reply), [`5.4.6 mail forwarding loop for ${ME}@Example.org`]);
});

test('sendmail -bv delivers nothing', async () => {
  await using t = await withSpool('alias_maps = inline:{{cmd="|touch BASE/out"}}');
  const reply = await t.agent.deliver({ content, traceFlags: 1 }, `${ME}@example.org`, 'cmd@example.org');
  assert.deepEqual(
    statusOf(reply).map((status) => status.replaceAll(t.base, 'BASE')),
    ['2.0.0 delivers to mailbox', '2.0.0 delivers to command: touch BASE/out'],
  );
  assert.deepEqual(await readdir(`${t.base}/spool`), []);
  await assert.rejects(stat(`${t.base}/out`), { code: 'ENOENT' });
});

test('run by root, a mailbox in the spool directory belongs to its user, and nobody else can prepare it', {
  skip: process.geteuid?.() !== 0 && 'needs root',
}, async () => {
  await using t = await withSpool('postfleet_mailbox_owner =\nalias_maps = inline:{{whoami="|id -un > BASE/id"}}');
  assert.equal(await t.status('daemon@example.org'), '2.0.0 delivered to mailbox');
  const { uid, mode } = await stat(`${t.base}/spool/daemon`);
  assert.deepEqual([uid, mode & 0o777], [1, 0o600]);
  await writeFile(`${t.base}/spool/bin`, '');
  assert.equal(
    await t.status('bin@example.org'),
    '4.2.0 cannot update mailbox BASE/spool/bin for user bin. destination BASE/spool/bin is not owned by recipient',
  );
  await chmod(t.base, 0o777);
  assert.match(await t.status('whoami@example.org'), /^2\.0\.0/);
  assert.equal(await readFile(`${t.base}/id`, 'latin1'), 'nobody\n');
});
