/** What keeps an instance from starting is one line that says what to do, and costs nothing else. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePorts } from '../faults/ports.ts';
import { until } from '../support/until.ts';
import { ROOT } from './instance.ts';

const PROGRAM = join(ROOT, process.env.POSTFLEET_TEST_PROGRAM ?? 'bin/postfleet.ts');

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'postfleet-errors-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function start(
  mainCf: string,
  environment: Record<string, string> = {},
  {
    port,
    state,
    masterCf = '',
    processes = false,
  }: { port?: number; state?: string; masterCf?: string; processes?: boolean } = {},
): Promise<{ status: number | null; text: string }> {
  const configuration = mkdtempSync(join(directory, 'etc-'));
  cpSync(join(ROOT, 'etc/postfleet'), configuration, { recursive: true });
  writeFileSync(join(configuration, 'main.cf'), `${readFileSync(join(configuration, 'main.cf'), 'utf8')}\n${mainCf}\n`);
  writeFileSync(
    join(configuration, 'master.cf'),
    `${readFileSync(join(configuration, 'master.cf'), 'utf8')}\n${masterCf}\n`,
  );
  const result = spawnSync(
    process.execPath,
    [
      PROGRAM,
      'start',
      ...(processes ? ['--processes'] : []),
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

const PORTS: readonly [string, number][] = [
  ['smtp', 0],
  ['NATS', 1],
  ['the monitor of NATS', 2],
  ['Postgres', 3],
  ['health and metrics', 4],
];
for (const [what, offset] of PORTS) {
  for (const shape of offset === 0 ? ['one', 'many'] : ['one']) {
    test(`a taken port (${what}, ${shape} process) ends the start at once with one line`, async () => {
      const first = await freePorts(40);
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(first + offset, '127.0.0.1', resolve));
      const began = performance.now();
      const { status, text } = await start('', {}, { port: first, processes: shape === 'many' });
      const seconds = (performance.now() - began) / 1000;
      await new Promise((resolve) => server.close(resolve));
      assert.equal(status, 71, text);
      assert.equal(
        text,
        `postfleet: fatal: ${what}: cannot listen on 127.0.0.1:${first + offset}: the port is taken: stop what listens there, or choose others with PORT=\n`,
      );
      assert.ok(seconds < 10, `it took ${seconds} s`);
    });
  }
}

test('the port for the health of a further process is looked at as well', async () => {
  const first = await freePorts(40);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first + 9, '127.0.0.1', resolve));
  const { status, text } = await start('', {}, { port: first, processes: true });
  await new Promise((resolve) => server.close(resolve));
  assert.equal(status, 71, text);
  assert.match(text, new RegExp(`^postfleet: fatal: health and metrics: .*:${first + 9}: the port is taken.*\n$`));
});

test('a service that cannot start ends the start, and the processes of the others', async () => {
  const state = mkdtempSync(join(directory, 'var-'));
  // The socket of the service is to be where a folder is that cannot be removed.
  mkdirSync(join(state, 'run/bounce.sock/in-the-way'), { recursive: true });
  const { status, text } = await start('', {}, { state, processes: true });
  assert.notEqual(status, 0, text);
  assert.match(fatal(text).at(-1) ?? '', /^postfleet: fatal: bounce: exit status \d+; see its last lines above$/);
  assert.doesNotMatch(text, /Postfleet is up/);
  assert.deepEqual(
    readdirSync(join(state, 'run')).filter((name) => name.endsWith('.service.pid')),
    [],
  );
});

test('a start that is told to stop ends at once what it has begun, whatever that is', async () => {
  const state = mkdtempSync(join(directory, 'var-'));
  const port = await freePorts(40);
  const command = ['start', '--var', state, '--port', String(port), '--config', join(ROOT, 'etc/postfleet')];
  const environment = { ...process.env };
  // The first time while the database is made; later on with each of what is started then.
  const marks: readonly [string, string[]][] = [
    ['secret/postgres-password', []],
    ['run/nats.pid', []],
    ['postgres/postmaster.pid', []],
    ['run/trace.sock', []],
    ['run/qmgr.unix.service.pid', ['--processes']],
  ];
  for (const [mark, processes] of marks) {
    const child = spawn(process.execPath, [PROGRAM, ...command, ...processes], {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const exited = once(child, 'close');
    const startedAt = Date.now();
    const path = join(state, mark);
    await until(mark, () => (existsSync(path) && statSync(path).mtimeMs >= startedAt) || child.exitCode !== null);
    const began = performance.now();
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null], `${mark}: ${said}`);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 15, `${mark}: it took ${seconds} s`);
    for (let offset = 0; offset < 5; offset++) {
      const server = createServer();
      const listening = once(server, 'listening');
      server.listen(port + offset, '127.0.0.1');
      await listening;
      await new Promise((resolve) => server.close(resolve));
    }
  }
});

test('a configuration that relays for everybody does not start', async () => {
  const { status, text } = await start('smtpd_relay_restrictions =\nsmtpd_recipient_restrictions =');
  assert.notEqual(status, 0);
  assert.match(text, /smtpd_(relay|recipient)_restrictions/);
});

test('a second signal ends it at once, and leaves no store behind', async () => {
  const state = mkdtempSync(join(directory, 'var-'));
  const port = await freePorts(40);
  const command = ['start', '--var', state, '--port', String(port), '--config', join(ROOT, 'etc/postfleet')];
  const child = spawn(process.execPath, [PROGRAM, ...command], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  await until('the instance', () => existsSync(join(state, 'run/instance.json')) || child.exitCode !== null);
  child.kill('SIGINT');
  child.kill('SIGTERM');
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  for (const pidFile of ['run/nats.pid', 'postgres/postmaster.pid']) {
    const pid = Number(readFileSync(join(state, pidFile), 'utf8').split('\n')[0]);
    await until(`the end of ${pid}`, () => !existsSync(`/proc/${pid}`), 5);
  }
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
