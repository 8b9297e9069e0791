/**
 * A reload of a running instance, in both shapes: what is open goes on, what begins sees the new settings, and a
 * configuration with errors changes nothing.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { ROOT, run, type Shape, startInstance, type TestInstance } from './instance.ts';

/** Seconds for a reload to take effect: one, and some for a machine that runs other tests too. */
const SOON = 30;
/** An offset from the SMTP port that nothing of the instance uses. */
const FURTHER_PORT = 35;

/** An SMTP session that stays open between commands. */
class OpenSession implements Disposable {
  readonly #socket: Socket;
  #text = '';
  #wake: () => void = () => undefined;
  #closed = false;

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port });
    this.#socket.setEncoding('latin1').on('data', (piece: string) => {
      this.#text += piece;
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  async reply(): Promise<string> {
    for (;;) {
      const end = /(?:^|\n)\d{3} [^\n]*\n/.exec(this.#text);
      if (end !== null) {
        const length = end.index + end[0].length;
        const reply = this.#text.slice(0, length).trimEnd();
        this.#text = this.#text.slice(length);
        return reply;
      }
      if (this.#closed) return 'closed';
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  say(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`);
    return this.reply();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

async function banner(port: number): Promise<string> {
  using session = new OpenSession(port);
  return await session.reply();
}

const configuration = (instance: TestInstance, file: string): string => join(instance.directory, 'etc', file);

function greeting(port: number, text: string): Promise<unknown> {
  return until(`the greeting ${text}`, async () => (await banner(port)).includes(text), SOON);
}

/** What is remarkable in the files is said once, not by every service. */
function startWarnsOnce(instance: TestInstance): void {
  const warnings = instance.log().match(/warning: \S+main\.cf, line \d+: unused parameter: myorgin=x$/gm);
  assert.equal(warnings?.length, 1);
}

async function openSessionGoesOn(instance: TestInstance): Promise<void> {
  using session = new OpenSession(instance.port);
  assert.match(await session.reply(), /ESMTP before$/);
  await session.say('EHLO client.example.org');
  assert.match(await session.say('MAIL FROM:<a@example.org>'), /^250 /);

  appendFileSync(
    configuration(instance, 'main.cf'),
    'smtpd_banner = $myhostname ESMTP after\ndisable_vrfy_command = yes\n',
  );
  process.kill(instance.pid, 'SIGHUP');
  await greeting(instance.port, 'ESMTP after');
  await instance.logged(/postfix\/master\[\d+\]: reload -- version \S+, configuration /, SOON);

  assert.match(await session.say('RCPT TO:<root@localhost>'), /^250 /);
  assert.match(await session.say('DATA'), /^354 /);
  const accepted = await session.say('Subject: over a reload\r\n\r\ntext\r\n.');
  const queueId = /^250 2\.0\.0 Ok: queued as (\w+)$/.exec(accepted)?.[1];
  assert.ok(queueId, accepted);
  assert.match(await session.say('VRFY root'), /^252 /);
  await instance.logged(new RegExp(`${queueId}: to=<root@localhost>.* status=sent`), 30);

  using next = new OpenSession(instance.port);
  await next.reply();
  await next.say('EHLO client.example.org');
  assert.match(await next.say('VRFY root'), /^502 /);
  assert.equal(await session.say('QUIT'), '221 2.0.0 Bye');
}

async function brokenConfigurationChangesNothing(instance: TestInstance): Promise<void> {
  const file = configuration(instance, 'main.cf');
  const good = readFileSync(file, 'utf8');
  const line = good.split('\n').length;
  writeFileSync(file, `${good}smtpd_hard_error_limit = many\nsmtpd_banner = never seen\n`);
  const said = await instance.command('reload', [], { statuses: [78] });
  const problem = `${file}, line ${line}: smtpd_hard_error_limit = many: bad value, expected a whole number`;
  assert.ok(said.includes(`postfleet: error: ${problem}`), said);
  await until('the log names the error', () => instance.log().includes(`error: ${problem}`), SOON);
  await instance.logged(/error: reload: nothing was changed; the configuration before stays in force/, SOON);
  assert.match(await banner(instance.port), /ESMTP after$/);
  writeFileSync(file, good);
}

/** What the files alone do not show: two parameters that one service finds in contradiction, in main.cf and in a new entry. */
async function oneServiceRefuses(instance: TestInstance): Promise<void> {
  const [main, master] = ['main.cf', 'master.cf'].map((file) => configuration(instance, file)) as [string, string];
  const [goodMain, goodMaster] = [readFileSync(main, 'utf8'), readFileSync(master, 'utf8')];
  const refusals = (): number => instance.log().match(/error: reload: nothing was changed/g)?.length ?? 0;
  const place = /(?:main\.cf, line \d+:|master\.cf, line \d+: -o) /;
  const contradiction = new RegExp(
    `${place.source}virtual_mailbox_limit = 100 is smaller than message_size_limit`,
    'g',
  );
  const cases = [
    [main, `${goodMain}virtual_mailbox_limit = 100\nsmtpd_banner = never seen\n`],
    [master, `${goodMaster}further unix - n n - - virtual -o virtual_mailbox_limit=100\n`],
  ] as const;
  for (const [file, text] of cases) {
    const before = refusals();
    writeFileSync(file, text);
    if (file === master) writeFileSync(main, `${goodMain}smtpd_banner = never seen\n`);
    process.kill(instance.pid, 'SIGHUP');
    await until('the reload is refused', () => refusals() > before, 60);
    assert.match(await banner(instance.port), /ESMTP after$/);
    writeFileSync(main, goodMain);
    writeFileSync(master, goodMaster);
  }
  assert.ok((instance.log().match(contradiction)?.length ?? 0) >= cases.length, instance.log());
}

async function entriesComeAndGo(instance: TestInstance): Promise<void> {
  const file = configuration(instance, 'master.cf');
  const before = readFileSync(file, 'utf8');
  const port = instance.port + FURTHER_PORT;
  writeFileSync(file, `${before}127.0.0.1:${port} inet n - n - - smtpd\n  -o { smtpd_banner = further }\n`);
  assert.match(await instance.command('reload', []), /^postfleet: refreshing the Postfleet mail system$/m);
  // In a process of its own it has to start first.
  await until('the new entry listens', async () => (await banner(port)).endsWith('further'), 30);
  writeFileSync(file, before);
  await instance.command('reload', []);
  await until('nobody listens', async () => (await banner(port)) === 'closed', 30);
  assert.match(await banner(instance.port), /ESMTP after$/);
}

async function whatNeedsARestartIsNamed(instance: TestInstance): Promise<void> {
  appendFileSync(configuration(instance, 'main.cf'), 'postfleet_shards = 7\n');
  process.kill(instance.pid, 'SIGHUP');
  await instance.logged(
    /warning: \S+main\.cf, line \d+: postfleet_shards = 7: needs a restart; "1" stays in force/,
    SOON,
  );
}

test('errors of the configuration stop the start, with one line each', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'postfleet-e2e-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'main.cf'), 'soft_bounce = perhaps\nsmtpd_hard_error_limit = many\n');
  writeFileSync(join(directory, 'master.cf'), '');
  const program = join(ROOT, 'bin/postfleet.ts');
  const start = [program, 'start', '--var', join(directory, 'var'), '--config', directory];
  const said = await run(process.execPath, start, { statuses: [78] });
  assert.deepEqual(said.trimEnd().split('\n'), [
    `postfleet: fatal: ${directory}/main.cf, line 1: soft_bounce = perhaps: bad value, expected yes or no`,
    `postfleet: fatal: ${directory}/main.cf, line 2: smtpd_hard_error_limit = many: bad value, expected a whole number from 1`,
  ]);
});

for (const shape of ['one', 'many'] satisfies Shape[]) {
  const where = shape === 'one' ? 'in one process' : 'in many processes';
  test(`a reload ${where}`, { timeout: 240_000 }, async (context) => {
    await using instance = await startInstance({
      shape,
      mainCf: 'smtpd_banner = $myhostname ESMTP before\nmyorgin = x',
    });
    await context.test('a misspelt name is a warning of the start', () => startWarnsOnce(instance));
    await context.test('a session that is open goes on under the settings before; a new one sees the next', () =>
      openSessionGoesOn(instance),
    );
    await context.test('a broken main.cf changes nothing, and is named with file, line and parameter', () =>
      brokenConfigurationChangesNothing(instance),
    );
    await context.test('what one service refuses comes into force nowhere', () => oneServiceRefuses(instance));
    await context.test('an entry that is added listens; one that is removed does not', () =>
      entriesComeAndGo(instance),
    );
    await context.test('what needs a restart is named', () => whatNeedsARestartIsNamed(instance));
    await context.test('status tells the process; abort ends it', async () => {
      assert.match(await instance.command('status', []), new RegExp(`is running: PID: ${instance.pid}$`, 'm'));
      await instance.command('abort', []);
      assert.match(await instance.command('status', [], { statuses: [1] }), /is not running$/m);
    });
  });
}
