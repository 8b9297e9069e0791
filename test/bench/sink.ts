/** smtp-sink, with the count of messages that it has taken. */
import { spawn } from 'node:child_process';
import { waitForSmtp } from './wait.ts';

export interface Sink extends Disposable {
  /** Messages taken so far. */
  readonly messages: () => number;
}

/**
 * Sessions that it serves at a time: more than the systems may open. Of its own accord it serves 256, and a client beyond
 * those waits for its greeting until another leaves, which is how long connections are kept and no system's time.
 */
const SESSIONS = 1024;

export async function startSink(port: number): Promise<Sink> {
  const options = ['-u', 'nobody', '-c', '-m', String(SESSIONS), `127.0.0.1:${port}`, String(SESSIONS)];
  const child = spawn('/usr/sbin/smtp-sink', options, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let messages = 0;
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    const last = text.lastIndexOf('mesg=');
    if (last < 0) return;
    const count = Number.parseInt(text.slice(last + 5), 10);
    // A chunk may end within the number; counts only grow.
    if (Number.isInteger(count)) messages = Math.max(messages, count);
  });
  const kill = (): void => void child.kill();
  process.once('exit', kill);
  await waitForSmtp(port);
  return {
    messages: () => messages,
    [Symbol.dispose]() {
      kill();
      process.off('exit', kill);
    },
  };
}
