import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { startAgent, statusOf, temporaryDirectory } from '../../test/support/delivery.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: t\n\nFrom here\n.dot\nlast\n');
const ROOT = process.geteuid?.() === 0;
/** Whom commands run as in these tests: nobody, or whoever runs the tests. */
const USER = ROOT ? 'nobody' : userInfo().username;

async function withCommand(attributes: string, script: string, mainCf = '') {
  const directory = await temporaryDirectory();
  await chmod(directory.path, 0o777);
  const program = `${directory.path}/command`;
  await writeFile(program, `#!/bin/sh\ncd ${directory.path}\n${script}\n`, { mode: 0o755 });
  const agent = await startAgent(service, {
    name: 'mypipe',
    mainCf: `recipient_delimiter = +\nqueue_directory = ${directory.path}\n${mainCf}`,
    argv: attributes.replaceAll('COMMAND', program).split(' '),
  });
  return {
    agent,
    program,
    read: (file: string) => readFile(`${directory.path}/${file}`, 'latin1'),
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('the command gets its arguments unseen by a shell, once for each recipient where they name one', async () => {
  await using t = await withCommand(
    `user=${USER} flags=hqu argv=COMMAND s=\${sender} r=$recipient $(user)/\${extension}/\${mailbox} \${domain} \${nexthop} $$HOME \${size} \${queue_id}`,
    'for word; do echo "$word"; done > args; cat > message; env > environment; pwd > directory',
  );
  const reply = await t.agent.deliver(
    { content, sender: '$(reboot) x@example.com', nexthop: 'Next.Example' },
    'One+Ext@Example.org',
    'two words@example.org',
  );
  assert.deepEqual(statusOf(reply), Array(2).fill('2.0.0 delivered via mypipe service'));
  assert.deepEqual((await t.read('args')).trimEnd().split('\n'), [
    's="$(reboot) x"@example.com',
    'r=one+ext@example.org',
    'r="two words"@example.org',
    'one/ext/one+ext',
    'two words//two words',
    'example.org',
    'next.example',
    '$HOME',
    String(content.length),
    '4TestQueueId',
  ]);
  assert.equal(await t.read('message'), content.toString());
  assert.match(await t.read('environment'), /^PATH=\/usr\/bin:\/bin$/m);
  assert.doesNotMatch(await t.read('environment'), /^HOME=/m);
  assert.match(
    t.agent.lines[0]!,
    /: to=<One\+Ext@Example\.org>, relay=mypipe, .*, status=sent \(delivered via mypipe service\)$/,
  );
});

test('flags put lines in front of the message and change others', async () => {
  await using t = await withCommand(
    `user=${USER} flags=DORFB.> eol=\\r\\n null_sender=nobody argv=COMMAND`,
    'cat > message',
  );
  await t.agent.deliver({ content, sender: '' }, 'a@example.org');
  const [fromLine, ...lines] = (await t.read('message')).split('\r\n');
  assert.match(fromLine!, /^From nobody {2}\w{3} /);
  assert.deepEqual(lines, [
    'Return-Path: <nobody>',
    'X-Original-To: a@example.org',
    'Delivered-To: a@example.org',
    'Subject: t',
    '',
    '>From here',
    '..dot',
    'last',
    '',
    '',
  ]);
});

const outcomes: [name: string, attributes: string, script: string, expected: string][] = [
  [
    'output of a successful command is reported',
    '',
    'echo all is well',
    '2.0.0 delivered via mypipe service (all is well)',
  ],
  ['a status of sysexits decides', '', 'echo no such one; exit 67', '5.1.1 user unknown. Command output: no such one '],
  ['another status bounces', '', 'exit 99', '5.3.0 Command died with status 99: "COMMAND"'],
  ['a code in front of the output takes precedence', '', 'echo 4.7.1 not now; exit 1', '4.7.1 not now '],
  ['a signal defers', '', 'kill -9 $$', '4.3.0 Command died with signal 9: "COMMAND"'],
  [
    'a command that reads nothing is judged by its status',
    '',
    'exec <&-; exit 0',
    '2.0.0 delivered via mypipe service',
  ],
  [
    'control characters in output reach neither log nor notice',
    '',
    'printf "a\\033b\\nc"; exit 75',
    '4.3.0 temporary failure. Command output: a?b c',
  ],
  ['size= bounces what is larger', 'size=10', 'exit 0', '5.2.3 message too large'],
  [
    'a missing directory= defers',
    'directory=/nonexistent',
    'exit 0',
    '4.3.5 cannot run command "COMMAND": No such file or directory',
  ],
];
for (const [name, attributes, script, expected] of outcomes) {
  test(name, async () => {
    await using t = await withCommand(`user=${USER} ${attributes} argv=COMMAND`.replace('  ', ' '), script);
    const [status] = statusOf(await t.agent.deliver({ content }, 'a@example.org'));
    assert.equal(status!.replaceAll(t.program, 'COMMAND'), expected);
  });
}

test('a command that takes too long is killed with all that it started', async () => {
  await using t = await withCommand(`user=${USER} argv=COMMAND`, 'sleep 60 & sleep 60', 'mypipe_time_limit = 1s');
  const [status] = statusOf(await t.agent.deliver({ content }, 'a@example.org'));
  assert.equal(status, `5.3.0 Command time limit exceeded: "${t.program}"`);
});

test('a large message and a flood of output are both bounded', async () => {
  await using t = await withCommand(`user=${USER} argv=COMMAND`, 'wc -c; yes | head -c 10000000; exit 75');
  const large = Buffer.alloc(3_000_000, 'line\n');
  const [status] = statusOf(await t.agent.deliver({ content: large }, 'a@example.org'));
  assert.match(status!, /^4\.3\.0 temporary failure\. Command output: 3000000 y y /);
  assert.ok(status!.length < 5000);
});

const mistakes: [attributes: string, error: RegExp][] = [
  ['argv=/bin/true', /missing user= command attribute/],
  [`user=${USER}`, /missing argv= command attribute/],
  ['user=no-such-user argv=/bin/true', /user=no-such-user: no such user or group/],
  ['user=root argv=/bin/true', /commands are not run with root privileges/],
  [`user=${USER} flags=Z argv=/bin/true`, /unknown flag "Z"/],
  [`user=${USER} argv=/bin/true $\{nonsense}`, /unknown macro name "\$nonsense"/],
  [`user=${USER} colour=red argv=/bin/true`, /unknown attribute "colour"/],
];
for (const [attributes, error] of mistakes) {
  test(`an entry with a mistake defers its mail: ${attributes}`, async () => {
    await using t = await withCommand(attributes, 'exit 0');
    assert.match(t.agent.lines[0]!, error);
    assert.deepEqual(statusOf(await t.agent.deliver({ content }, 'a@example.org')), [
      '4.3.5 mail system configuration error',
    ]);
  });
}

test('run by root, the command runs as its user and in no other group', { skip: !ROOT && 'needs root' }, async () => {
  await using t = await withCommand('user=daemon:nogroup argv=COMMAND', 'id -u; id -G');
  const [status] = statusOf(await t.agent.deliver({ content }, 'a@example.org'));
  assert.equal(status, '2.0.0 delivered via mypipe service (1 65534)');
});
