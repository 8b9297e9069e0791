/** What keeps an instance from starting is one line that says what to do, and costs nothing else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePorts } from '../faults/ports.ts';
import { ROOT } from './instance.ts';

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'postfleet-errors-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function start(
  mainCf: string,
  environment: Record<string, string> = {},
  { port, state, masterCf = '' }: { port?: number; state?: string; masterCf?: string } = {},
): Promise<{ status: number | null; text: string }> {
  const configuration = mkdtempSync(join(directory, 'etc-'));
  cpSync(join(ROOT, 'etc/postfleet'), configuration, { recursive: true });
  writeFileSync(join(configuration, 'main.cf'), `${readFileSync(join(configuration, 'main.cf'), 'utf8')}\n${mainCf}\n`);
  writeFileSync(
    join(configuration, 'master.cf'),
    `${readFileSync(join(configuration, 'master.cf'), 'utf8')}\n${masterCf}\n`,
  );
  const program = join(ROOT, process.env.POSTFLEET_TEST_PROGRAM ?? 'bin/postfleet.ts');
  const result = spawnSync(
    process.execPath,
    [
      program,
      'start',
      '--var',
      state ?? mkdtempSync(join(directory, 'var-')),
      '--port',
      String(port ?? (await freePorts(40))),
      '--config',
      configuration,
    ],
    { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...environment } },
  );
  return { status: result.status, text: `${result.stdout}${result.stderr}` };
}

test('a wrong value in main.cf is named with file and line', async () => {
  const { status, text } = await start('message_size_limit = ten');
  assert.notEqual(status, 0);
  assert.match(text, /main\.cf, line \d+: message_size_limit.*ten/);
});

test('a store address that is none is named by its parameter', async () => {
  const { status, text } = await start('', { POSTFLEET_NATS_URL: 'nats://::bad::' });
  assert.notEqual(status, 0);
  assert.match(text, /postfleet_nats_url/);
});

test('an SMTP port that is taken is said to be', async () => {
  const first = await freePorts(40);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve));
  const { status, text } = await start('', {}, { port: first });
  await new Promise((resolve) => server.close(resolve));
  assert.notEqual(status, 0);
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${first}: the port is taken`));
});

test('a configuration that relays for everybody does not start', async () => {
  const { status, text } = await start('smtpd_relay_restrictions =\nsmtpd_recipient_restrictions =');
  assert.notEqual(status, 0);
  assert.match(text, /smtpd_(relay|recipient)_restrictions/);
});

/** Lines that are no log lines: what a person who starts it reads. */
const fatal = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('postfleet: '));

const STORES: readonly [string, string, string][] = [
  ['NATS', 'POSTFLEET_NATS_URL', 'nats://127.0.0.1:PORT'],
  ['Postgres', 'POSTFLEET_POSTGRES_URL', 'postgres://user:secret@127.0.0.1:PORT/postfleet'],
];
for (const [store, variable, url] of STORES) {
  test(`${store} that cannot be reached ends the start with one line, without its password`, async () => {
    const { status, text } = await start('', { [variable]: url.replace('PORT', String(await freePorts(1))) });
    assert.equal(status, 69, text);
    const [line, ...others] = fatal(text);
    assert.match(
      line ?? '',
      new RegExp(
        `^postfleet: fatal: ${store} at .*127\\.0\\.0\\.1:\\d+.* does not answer \\(.*(?:ECONNREFUSED|refused).*\\)`,
      ),
    );
    assert.deepEqual(others, []);
    assert.doesNotMatch(text, /secret/);
  });
}

test('a state directory that cannot be written is one line', async (context) => {
  const state = join(directory, 'read-only');
  mkdirSync(state);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', state]);
  if (mounted.status !== 0) {
    context.skip('a read-only filesystem cannot be mounted here');
    return;
  }
  try {
    const { status, text } = await start('', {}, { state });
    assert.equal(status, 73, text);
    assert.match(text, /^postfleet: fatal: state directory .*read-only: EROFS.*: choose another with VAR=\n$/);
  } finally {
    spawnSync('umount', [state]);
  }
});

test('a state directory in whose place a file stands is one line', async () => {
  const state = join(directory, 'file');
  writeFileSync(state, '');
  const { status, text } = await start('', {}, { state });
  assert.equal(status, 73, text);
  assert.match(text, /^postfleet: fatal: state directory .*file: E(?:NOTDIR|EXIST).*: choose another with VAR=\n$/);
});

const WRONG: readonly [string, { mainCf?: string; masterCf?: string }, RegExp][] = [
  [
    'a line without "="',
    { mainCf: 'myorigin example.com' },
    /^postfleet: fatal: .*main\.cf, line \d+: .*"myorigin example\.com"/,
  ],
  [
    'a number beyond its range',
    { mainCf: 'postfleet_shards = 0' },
    /^postfleet: fatal: .*main\.cf, line \d+: postfleet_shards = 0: /,
  ],
  [
    'a time that is none',
    { mainCf: 'smtpd_timeout = 5 fortnights' },
    /^postfleet: fatal: .*main\.cf, line \d+: smtpd_timeout = 5 fortnights: /,
  ],
  [
    'an entry of master.cf with columns missing',
    { masterCf: 'broken unix - -' },
    /^postfleet: fatal: .*master\.cf: line \d+: /,
  ],
  [
    'a type that master.cf does not have',
    { masterCf: 'x tcp - - n - - smtpd' },
    /^postfleet: fatal: .*master\.cf, line \d+: .*tcp/,
  ],
];
for (const [name, { mainCf = '', masterCf = '' }, expected] of WRONG) {
  test(`${name} is named with file and line`, async () => {
    const { status, text } = await start(mainCf, {}, { masterCf });
    assert.equal(status, 78, text);
    assert.match(text, expected);
    assert.equal(fatal(text).length, 1);
  });
}
