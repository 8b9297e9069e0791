/** What keeps an instance from starting is one line that says what to do, and costs nothing else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  port?: number,
): Promise<{ status: number | null; text: string }> {
  const configuration = mkdtempSync(join(directory, 'etc-'));
  cpSync(join(ROOT, 'etc/postfleet'), configuration, { recursive: true });
  writeFileSync(join(configuration, 'main.cf'), `${readFileSync(join(configuration, 'main.cf'), 'utf8')}\n${mainCf}\n`);
  const program = join(ROOT, process.env.POSTFLEET_TEST_PROGRAM ?? 'bin/postfleet.ts');
  const result = spawnSync(
    process.execPath,
    [
      program,
      'start',
      '--var',
      mkdtempSync(join(directory, 'var-')),
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
  const { status, text } = await start('', {}, first);
  await new Promise((resolve) => server.close(resolve));
  assert.notEqual(status, 0);
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${first}: the port is taken`));
});

test('a configuration that relays for everybody does not start', async () => {
  const { status, text } = await start('smtpd_relay_restrictions =\nsmtpd_recipient_restrictions =');
  assert.notEqual(status, 0);
  assert.match(text, /smtpd_(relay|recipient)_restrictions/);
});
