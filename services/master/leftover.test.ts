import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { endServices, SERVICE_PID_FILE } from './leftover.ts';

/** A process that runs until it is told to end, with that as its command line's end. */
async function waiting(...words: string[]): Promise<ChildProcess> {
  const script = 'process.stdout.write("up"); setInterval(() => {}, 1000)';
  const child = spawn(process.execPath, ['-e', script, '--', ...words], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout!, 'data');
  return child;
}

test('the services of a killed master are ended; a process that has got their number since is let alone', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postfleet-leftover-'));
  const service = await waiting('smtpd', '--service', 'smtp/inet');
  const other = await waiting('something', 'else');
  try {
    const ended = once(service, 'exit');
    writeFileSync(join(directory, `smtp.inet${SERVICE_PID_FILE}`), `${service.pid}\n`);
    writeFileSync(join(directory, `qmgr.unix${SERVICE_PID_FILE}`), `${other.pid}\n`);
    writeFileSync(join(directory, `bounce.unix${SERVICE_PID_FILE}`), 'not a number\n');
    writeFileSync(join(directory, 'nats.pid'), `${other.pid}\n`);
    await endServices(directory);
    assert.deepEqual(await ended, [null, 'SIGTERM']);
    assert.equal(other.exitCode ?? other.signalCode, null);
    assert.deepEqual(readdirSync(directory), ['nats.pid']);
  } finally {
    service.kill('SIGKILL');
    other.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
