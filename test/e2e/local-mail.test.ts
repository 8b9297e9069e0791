import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { type Shape, TestInstance } from '../support/instance.ts';

const ME = userInfo().username;
const PIPE_USER = process.geteuid?.() === 0 ? 'nobody' : ME;

const MAIN_CF = `myhostname = mail.example.org
alias_maps = inline:{{team=dir@virt.example, ${ME}, "|cat > DIRECTORY/out/command"}, owner-team=${ME}}
recipient_delimiter = +
virtual_mailbox_domains = virt.example
virtual_mailbox_base = DIRECTORY/virtual
virtual_mailbox_maps = inline:{box@virt.example=box, dir@virt.example=dir/}
transport_maps = inline:{pipe.example=filter:next.example}
message_size_limit = 20000000`;

const MASTER_CF = `filter unix - n n - - pipe
  flags=RF user=${PIPE_USER} argv=/bin/sh -c {cat > DIRECTORY/out/pipe; echo "$$0 $$1"} \${sender} \${recipient}`;

for (const shape of ['one process', 'many processes'] as const satisfies readonly Shape[]) {
  describe(`local mail, ${shape}`, () => {
    let instance: TestInstance;
    before(async () => {
      instance = await TestInstance.start({ shape, mainCf: MAIN_CF, masterCf: MASTER_CF });
      const { chmod, mkdir } = await import('node:fs/promises');
      await chmod(instance.directory, 0o755);
      await mkdir(instance.path('out'));
      await chmod(instance.path('out'), 0o777);
    });
    after(async () => instance?.[Symbol.asyncDispose]());

    const mailbox = () => readFile(instance.path('var/mail', ME), 'latin1').catch(() => '');
    const holds = (text: string) => instance.until(async () => (await mailbox()).includes(text));

    async function send(argv: readonly string[], input: Buffer | string): Promise<void> {
      assert.deepEqual(await instance.command(['sendmail', ...argv], input), { status: 0, stdout: '', stderr: '' });
    }

    test('what cron pipes into sendmail is in the mailbox', async () => {
      await send(
        ['-i', '-FCronDaemon', '-oem', ME],
        `To: ${ME}\nSubject: Cron job\n\nFrom cron\n.\nafter the dot \xe9\n`,
      );
      await holds('after the dot');
      const mail = await mailbox();
      assert.match(mail, new RegExp(`^From ${ME}@mail\\.example\\.org {2}`, 'm'));
      assert.match(mail, /^Received: by mail\.example\.org \(Postfix, from userid \d+\)$/m);
      assert.match(mail, new RegExp(`^From: CronDaemon <${ME}@mail\\.example\\.org>$`, 'm'));
      assert.match(mail, /\n>From cron\n\.\nafter the dot \xc3\xa9\n/);
      await instance.logged(/postfix\/pickup\[\d+\]: \w+: uid=\d+ from=</);
      await instance.logged(
        /postfix\/local\[\d+\]: \w+: to=<.*>, relay=local, delay=.*, dsn=2\.0\.0, status=sent \(delivered to mailbox\)/,
      );
    });

    test('what the start prints sends a message and shows the queue, typed as it is', async () => {
      const lines = instance.log.split('\n').filter((line) => line.includes('bin/postfleet '));
      assert.equal(lines.length, 2, instance.log);
      for (const line of lines) {
        const environment = { PATH: process.env.PATH, USER: ME };
        const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8', env: environment });
        assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, line);
        if (line.endsWith('mailq')) assert.match(stdout, /queue is empty|Queue ID/);
      }
      await holds('It works.');
    });

    test('sendmail -t takes the recipients from the headers, and nobody sees Bcc:', async () => {
      await send(
        ['-t', '-f', 'me@example.com'],
        'To: Box <box@virt.example>\nBcc: dir@virt.example\nSubject: to two\n\nx\n',
      );
      const read = async (file: string) => readFile(file, 'latin1').catch(() => '');
      await instance.until(async () => (await read(instance.path('virtual/box'))).includes('Subject: to two'));
      const folder = instance.path('virtual/dir/new');
      await instance.until(async () => (await readdir(folder).catch(() => [])).length > 0);
      const [file] = await readdir(folder);
      const mail = await read(`${folder}/${file}`);
      assert.match(
        mail,
        /^Return-Path: <me@example\.com>\nX-Original-To: dir@virt\.example\nDelivered-To: dir@virt\.example\n/,
      );
      assert.doesNotMatch(mail + (await read(instance.path('virtual/box'))), /^bcc:/im);
    });

    test('an alias reaches its members and its command, and errors go to its owner', async () => {
      await send(['-f', 'me@example.com', 'team'], 'Subject: for the team\n\nx\n');
      await holds('Subject: for the team');
      assert.match(await mailbox(), /^From owner-team@mail\.example\.org /m);
      assert.match(await readFile(instance.path('out/command'), 'latin1'), /Subject: for the team/);
    });

    test('an unknown user is reported to the sender', async () => {
      await send([`nobody-here`], 'Subject: lost\n\nx\n');
      await holds('unknown user: "nobody-here"');
    });

    test('a transport of master.cf runs its command', async () => {
      await send(['-f', 'me@example.com', 'you@pipe.example'], 'Subject: piped\n\nx\n');
      await instance.logged(
        /relay=filter, .*status=sent \(delivered via filter service \(me@example\.com you@pipe\.example\)\)/,
      );
      assert.match(
        await readFile(instance.path('out/pipe'), 'latin1'),
        /^From me@example\.com .*\nReturn-Path: <me@example\.com>\n/,
      );
    });

    test('a message of 8 MB arrives byte for byte', async () => {
      const body = Buffer.alloc(8_000_000, 'a line of a large message, \xff and all\n', 'latin1');
      await send(['-i', 'box@virt.example'], Buffer.concat([Buffer.from('Subject: large\n\n'), body]));
      const read = () => readFile(instance.path('virtual/box')).catch(() => Buffer.alloc(0));
      await instance.until(async () => (await read()).length > body.length);
      await instance.until(async () => (await read()).includes(body));
    });
  });
}
