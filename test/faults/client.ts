/** One SMTP connection of the load: commands and their replies, one at a time. */
import { connect, type Socket } from 'node:net';

/** The connection ended before the reply came. */
export class NoReply extends Error {
  override readonly name = 'NoReply';
}

const REPLY_LIMIT = 60_000;
/** A server that was killed on another machine does not even refuse. */
const CONNECT_LIMIT = 5000;

export class Client {
  readonly #socket: Socket;
  #text = '';
  #ended = false;
  #waiting: PromiseWithResolvers<number> | undefined;

  constructor(port: number, host = '127.0.0.1') {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.setTimeout(CONNECT_LIMIT, () => this.#socket.destroy());
    this.#socket.once('connect', () => this.#socket.setTimeout(REPLY_LIMIT));
    this.#socket.setEncoding('latin1').on('data', (text: string) => {
      this.#text += text;
      this.#look();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#look();
    });
  }

  #look(): void {
    if (this.#waiting === undefined) return;
    const last = /^(\d{3}) .*\r\n/m.exec(this.#text);
    if (last !== null) {
      this.#text = this.#text.slice(last.index + last[0].length);
      this.#waiting.resolve(Number(last[1]));
      this.#waiting = undefined;
    } else if (this.#ended) {
      this.#waiting.reject(new NoReply('the connection has ended'));
      this.#waiting = undefined;
    }
  }

  /** The code of the next reply. Rejects with NoReply. */
  reply(): Promise<number> {
    this.#waiting = Promise.withResolvers<number>();
    const { promise } = this.#waiting;
    this.#look();
    return promise;
  }

  send(text: string): Promise<number> {
    if (!this.#ended) this.#socket.write(text, 'latin1');
    return this.reply();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Breaks the connection off. */
  abort(): void {
    this.#socket.destroy();
  }

  close(): void {
    this.#socket.end('QUIT\r\n');
    // Whoever was killed does not answer to QUIT.
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }
}
