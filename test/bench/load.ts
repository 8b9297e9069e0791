/**
 * The load: smtp-source for throughput, and a client of our own that times the reply to the end of data. Beside a flood it
 * sends one message at a time, so that it sees what a client sees; paced, it sends at a given rate.
 */
import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Flood {
  readonly port: number;
  readonly sessions: number;
  readonly messages: number;
  /** Connections are kept from message to message. */
  readonly kept: boolean;
  readonly size: number;
}

/** Runs smtp-source; resolves to the seconds it took. */
export async function flood({ port, sessions, messages, kept, size }: Flood): Promise<number> {
  const began = performance.now();
  const args = [
    ...(kept ? ['-d'] : []),
    '-s',
    String(sessions),
    '-m',
    String(messages),
    '-l',
    String(size),
    '-f',
    'sender@example.org',
    '-t',
    'recipient@example.com',
    `127.0.0.1:${port}`,
  ];
  const child = spawn('/usr/sbin/smtp-source', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('exit', (code) =>
    code === 0 ? resolve() : reject(new Error(`smtp-source ended with status ${code}: ${errors.slice(0, 500)}`)),
  );
  await promise;
  return (performance.now() - began) / 1000;
}

/** One session: a socket and the replies that it waits for. */
class Session {
  readonly #socket: Socket;
  #text = '';
  #waiting: ((reply: string) => void) | undefined;
  #failed: Error | undefined;

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.setEncoding('latin1').on('data', (text: string) => {
      this.#text += text;
      this.#deliver();
    });
    this.#socket.on('error', (error) => {
      this.#failed = error;
      this.#deliver();
    });
    this.#socket.on('close', () => {
      this.#failed ??= new Error('the connection was closed');
      this.#deliver();
    });
  }

  #deliver(): void {
    const end = /(?:^|\n)\d{3} .*\r\n$/.exec(this.#text);
    if (this.#waiting === undefined || (end === null && this.#failed === undefined)) return;
    const reply = this.#text;
    this.#text = '';
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting(reply);
  }

  async reply(): Promise<string> {
    const text = await new Promise<string>((resolve) => {
      this.#waiting = resolve;
      this.#deliver();
    });
    if (!/^[23]/.test(text)) throw new Error(this.#failed?.message ?? `unexpected reply: ${text.slice(0, 200)}`);
    return text;
  }

  async command(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`);
    return this.reply();
  }

  /** Sends one message; resolves to the milliseconds from the end of data to the reply. */
  async message(content: string): Promise<number> {
    await this.command('MAIL FROM:<probe@example.org>');
    await this.command('RCPT TO:<recipient@example.com>');
    await this.command('DATA');
    const began = performance.now();
    await this.command(`${content}\r\n.`);
    return performance.now() - began;
  }

  end(): void {
    this.#socket.end('QUIT\r\n');
  }
}

const line = 'x'.repeat(70);
const content = (size: number): string =>
  `From: <probe@example.org>\r\nTo: <recipient@example.com>\r\nSubject: probe\r\n\r\n${`${line}\r\n`.repeat(Math.floor(size / 72))}`;

/** One message by a connection of its own. */
async function single(port: number, size: number): Promise<number> {
  const session = new Session(port);
  try {
    await session.reply();
    await session.command('EHLO probe.example.org');
    return await session.message(content(size));
  } finally {
    session.end();
  }
}

/** One message after the other, `pause` milliseconds apart, until the signal; resolves to the reply times. */
export async function probe(port: number, size: number, pause: number, signal: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  while (!signal.aborted) {
    times.push(await single(port, size));
    await delay(pause, undefined, { signal }).catch(() => undefined);
  }
  return times;
}

/** `rate` messages a second for `seconds`, each by a connection of its own; resolves to the reply times. */
export async function paced(port: number, size: number, rate: number, seconds: number): Promise<number[]> {
  const began = performance.now();
  const running: Promise<number>[] = [];
  for (let sent = 0; ; ) {
    const elapsed = (performance.now() - began) / 1000;
    if (elapsed >= seconds) break;
    for (; sent < elapsed * rate; sent++) running.push(single(port, size));
    await delay(2);
  }
  return Promise.all(running);
}

/** The value below which the part `p` of the sorted values lies. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}
