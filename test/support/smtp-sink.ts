/**
 * Postfix' smtp-sink(1) on a free port of 127.0.0.1, writing all it gets into one file.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SINK = '/usr/sbin/smtp-sink';
const START_LIMIT = 10_000;

export interface SmtpSink extends AsyncDisposable {
  readonly port: number;
  /** The dumps of all messages, with the X-… headers that smtp-sink adds. */
  text(): string;
}

/** Why tests with smtp-sink are skipped; false where they can run. */
export const withoutSmtpSink: string | false = existsSync(SINK) ? false : 'smtp-sink is not installed';

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Starts smtp-sink with these options. */
export async function smtpSink(...options: string[]): Promise<SmtpSink> {
  const folder = mkdtempSync(join(tmpdir(), 'postfleet-sink-'));
  chmodSync(folder, 0o777);
  const port = await freePort();
  const privileges = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const dump = join(folder, 'all');
  const child = spawn(SINK, [...privileges, '-D', dump, ...options, `127.0.0.1:${port}`, '100'], { stdio: 'ignore' });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const close = async () => {
    process.off('exit', kill);
    const ended = child.exitCode !== null || child.signalCode !== null ? undefined : once(child, 'exit');
    kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const giveUp = performance.now() + START_LIMIT;
  while (!(await answers(port))) {
    if (performance.now() > giveUp || child.exitCode !== null) {
      await close();
      throw new Error(`smtp-sink ${options.join(' ')} does not answer`);
    }
    await sleep(20);
  }
  return {
    port,
    text: () => readFileSync(dump, 'latin1'),
    [Symbol.asyncDispose]: close,
  };
}
