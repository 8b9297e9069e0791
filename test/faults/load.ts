/**
 * The load: sessions that send the messages of a run at a given rate, and write down every end of data with its answer. What
 * was refused for now is sent again until it is accepted; of what got no answer, one half is sent again, as most clients
 * would, and the other half is given up. Beside them a user may submit messages of the same run by sendmail.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from './client.ts';
import type { EndOfData, Sent } from './ledger.ts';
import { contentOf, type Message } from './messages.ts';
import type { Random } from './random.ts';

export interface LoadOptions {
  /** 127.0.0.1 where it is left out. */
  readonly host?: string;
  readonly port: number;
  readonly messages: readonly Message[];
  readonly sessions: number;
  /** Messages a second, of all sessions, while nothing is in their way. */
  readonly rate: number;
  /** While true, it goes at a tenth of that: kills come after so and so many messages, and must find some left. */
  readonly isAhead?: () => boolean;
  /** Hands a message to sendmail; resolves to what a server's reply would be, undefined where it may have been taken or not. */
  readonly submit?: (message: Message) => Promise<number | undefined>;
  readonly random: Random;
  readonly signal: AbortSignal;
}

interface Sending {
  readonly message: Message;
  readonly attempts: EndOfData[];
}

/** Milliseconds after which a message that was not accepted is tried again. */
const PAUSE = 250;
/** Milliseconds between two messages by sendmail, each of which is a process. */
const SUBMISSION_PAUSE = 200;
/** Messages of one connection at most. */
const KEPT = 5;

export class Load {
  readonly #options: LoadOptions;
  readonly #todo: Sending[];
  readonly #all: readonly Sending[];
  readonly #clients = new Set<Client>();
  readonly accepted: Message[] = [];
  /** Messages of which an end of data was sent. */
  begun = 0;
  /** Ends of data that were sent and not yet answered. */
  waiting = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#all = options.messages.map((message) => ({ message, attempts: [] }));
    this.#todo = [...this.#all].reverse();
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#clients.size;
  }

  get sent(): Sent[] {
    return this.#all
      .filter(({ attempts }) => attempts.length > 0)
      .map(({ message: { id, recipients }, attempts }) => ({ id, recipients, attempts }));
  }

  /** Until everything is accepted or given up, or the signal: connections are then broken off. */
  async run(): Promise<void> {
    const { sessions, signal } = this.#options;
    signal.addEventListener('abort', () => this.#clients.forEach((client) => void client.abort()), { once: true });
    await Promise.all([...Array.from({ length: sessions }, () => this.#session()), this.#submissions()]);
  }

  /** Begins with no further message: `run` ends when what was begun is accepted or given up. */
  stop(): void {
    this.#todo.length = 0;
  }

  async #session(): Promise<void> {
    const { host, port, sessions, rate, random, signal, isAhead } = this.#options;
    let client: Client | undefined;
    let kept = 0;
    const close = (): void => {
      client?.close();
      if (client !== undefined) this.#clients.delete(client);
      client = undefined;
    };
    for (let next = this.#todo.pop(); next !== undefined && !signal.aborted; next = this.#todo.pop()) {
      const before = next.attempts.length;
      try {
        if (client === undefined || client.ended || kept++ >= KEPT) {
          close();
          kept = 0;
          client = new Client(port, host);
          this.#clients.add(client);
          if ((await client.reply()) !== 220 || (await client.send('EHLO client.test\r\n')) !== 250)
            throw new Error('no session');
        }
        await this.#transaction(client, next);
      } catch {
        close();
      }
      await this.#settle(next, next.attempts.length > before);
      const pause = (sessions * 1000) / rate;
      await delay(pause * (0.5 + random.next()), undefined, { signal }).catch(() => undefined);
      if (isAhead?.() === true) await delay(9 * pause, undefined, { signal }).catch(() => undefined);
    }
    close();
  }

  /** One message after the other by sendmail, as long as there are some. */
  async #submissions(): Promise<void> {
    const { submit, signal } = this.#options;
    if (submit === undefined) return;
    for (let next = this.#todo.pop(); next !== undefined && !signal.aborted; next = this.#todo.pop()) {
      if (next.attempts.length === 0) this.begun++;
      const at = Date.now();
      const code = await submit(next.message);
      next.attempts.push({ at, answered: Date.now(), code });
      await this.#settle(next, true);
      await delay(SUBMISSION_PAUSE, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Accepted, given up, or back to what is to be sent. */
  async #settle(sending: Sending, attempted: boolean): Promise<void> {
    const last = attempted ? sending.attempts.at(-1) : undefined;
    if (last?.code === 250) {
      this.accepted.push(sending.message);
      return;
    }
    if (last !== undefined && (last.code === undefined ? this.#options.random.chance(0.5) : last.code >= 500)) return;
    await delay(PAUSE, undefined, { signal: this.#options.signal }).catch(() => undefined);
    this.#todo.push(sending);
  }

  /** Throws where the message did not get as far as its end of data. */
  async #transaction(client: Client, { message, attempts }: Sending): Promise<void> {
    const expect = async (line: string, code: number): Promise<void> => {
      const got = await client.send(`${line}\r\n`);
      if (got !== code) throw new Error(`${line}: ${got}`);
    };
    await expect(`MAIL FROM:<${message.sender}>`, 250);
    for (const recipient of message.recipients) await expect(`RCPT TO:<${recipient}>`, 250);
    await expect('DATA', 354);
    if (attempts.length === 0) this.begun++;
    const at = Date.now();
    this.waiting++;
    let code: number | undefined;
    try {
      code = await client.send(`${contentOf(message)}.\r\n`);
    } finally {
      this.waiting--;
      attempts.push({ at, answered: Date.now(), code });
    }
  }
}
