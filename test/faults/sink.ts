/**
 * An SMTP server that takes everything, and writes down what it took: for each message its id, the queue id under which
 * it was taken in, and when the transaction began and ended. A message counts as taken when 250 was written for it.
 *
 * Recipients say by their names what becomes of them: `no-…` is refused with 550, `later-…` with 450 for the first time
 * or two, everything else is taken. Some replies wait, so that there are always transactions open.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Random } from './random.ts';

export interface Taken {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Octets as latin1. */
  readonly content: string;
  readonly began: number;
  readonly ended: number;
  readonly port: number;
}

export interface SinkOptions {
  /** So many free ports of 127.0.0.1, or this port of every address. */
  readonly ports: number | { readonly port: number };
  readonly random: Random;
  /** Milliseconds that some replies wait at most. */
  readonly slowness: number;
  taken(message: Taken): void;
  /** A recipient was refused for good. */
  refused(recipient: string): void;
}

const LOOPBACK = { port: 0, host: '127.0.0.1' };

export class Sink implements AsyncDisposable {
  readonly #options: SinkOptions;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #deferrals = new Map<string, number>();
  readonly ports: number[] = [];
  /** Transactions between MAIL and the reply to the end of data. */
  open = 0;

  private constructor(options: SinkOptions) {
    this.#options = options;
  }

  static async start(options: SinkOptions): Promise<Sink> {
    const sink = new Sink(options);
    const { ports } = options;
    const places = typeof ports === 'number' ? Array<{ port: number; host?: string }>(ports).fill(LOOPBACK) : [ports];
    for (const place of places) {
      const server = createServer({ noDelay: true }, (socket) => sink.#serve(socket));
      server.listen(place);
      await once(server, 'listening');
      sink.#servers.push(server);
      sink.ports.push((server.address() as { port: number }).port);
    }
    return sink;
  }

  /** The reply to RCPT. */
  #recipient(address: string): string {
    if (address.startsWith('no-')) {
      this.#options.refused(address);
      return '550 5.1.1 No such user';
    }
    if (!address.startsWith('later-')) return '250 2.1.5 Ok';
    const key = address;
    const wanted = 1 + (address.charCodeAt(address.indexOf('@') - 1) % 2);
    const had = this.#deferrals.get(key) ?? 0;
    if (had >= wanted) return '250 2.1.5 Ok';
    this.#deferrals.set(key, had + 1);
    return '450 4.2.1 Try again later';
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const port = socket.localPort ?? 0;
    let input = '';
    let sender = '';
    let recipients: string[] = [];
    let began = 0;
    let inTransaction = false;
    let content: string[] | undefined;
    let waiting = false;
    const end = (): void => {
      if (inTransaction) this.open--;
      inTransaction = false;
      recipients = [];
      content = undefined;
    };
    const reply = (line: string): void => {
      if (!socket.destroyed) socket.write(`${line}\r\n`);
    };
    const finish = (): void => {
      if (!socket.destroyed) {
        reply('250 2.0.0 Ok');
        const text = content!.map((line) => `${line}\r\n`).join('');
        this.#options.taken({ sender, recipients, content: text, began, ended: Date.now(), port });
      }
      end();
    };
    const line = (text: string): void => {
      if (content !== undefined) {
        if (text !== '.') {
          content.push(text.startsWith('.') ? text.slice(1) : text);
          return;
        }
        const { random, slowness } = this.#options;
        if (slowness === 0 || random.chance(0.6)) {
          finish();
          return;
        }
        waiting = true;
        setTimeout(() => {
          waiting = false;
          finish();
          lines();
        }, random.below(slowness));
        return;
      }
      const verb = text.slice(0, 4).toUpperCase();
      const address = /<([^>]*)>/.exec(text)?.[1] ?? '';
      if (verb === 'EHLO' || verb === 'HELO')
        reply('250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES');
      else if (verb === 'MAIL') {
        end();
        inTransaction = true;
        this.open++;
        sender = address;
        began = Date.now();
        reply('250 2.1.0 Ok');
      } else if (verb === 'RCPT') {
        const answer = this.#recipient(address);
        if (answer.startsWith('2')) recipients.push(address);
        reply(answer);
      } else if (verb === 'DATA') {
        if (recipients.length > 0) content = [];
        reply(recipients.length > 0 ? '354 Go ahead' : '554 5.5.1 No valid recipients');
      } else if (verb === 'RSET') {
        end();
        reply('250 2.0.0 Ok');
      } else if (verb === 'QUIT') {
        end();
        reply('221 2.0.0 Bye');
        socket.end();
      } else reply(verb === 'NOOP' ? '250 2.0.0 Ok' : '502 5.5.2 Not here');
    };
    const lines = (): void => {
      let from = 0;
      for (let at = input.indexOf('\r\n', from); at >= 0 && !waiting; at = input.indexOf('\r\n', from)) {
        const text = input.slice(from, at);
        from = at + 2;
        line(text);
      }
      input = input.slice(from);
    };
    socket.setEncoding('latin1').on('data', (data: string) => {
      input += data;
      if (!waiting) lines();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (!waiting) end();
    });
    reply('220 sink.test ESMTP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
