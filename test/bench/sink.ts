/** smtp-sink, with the count of messages that it has taken. */
import { spawn } from 'node:child_process';
import { waitForSmtp } from './wait.ts';

export interface Sink extends Disposable {
  /** Messages taken so far. */
  readonly messages: () => number;
}

export async function startSink(port: number): Promise<Sink> {
  const child = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', '-c', `127.0.0.1:${port}`, '1024'], {
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
