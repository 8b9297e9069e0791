/**
 * A client's TCP connection as a service of lines and bytes needs it: bytes in, bytes out, the ends of both, and nothing of
 * a stream's queues and states. Errors of a connection end it; whoever serves it hears of that by `closed`.
 *
 * There are two of them: `SocketConnection` over Node's Socket, and `HandleConnection` (handle-connection.ts), which costs
 * half of it and is taken where this Node has what it needs.
 */
import type { Socket } from 'node:net';

/** What happens to a connection. */
export interface ConnectionEvents {
  /** The bytes are the callee's, who may change them, until it returns; after that they are something else. */
  data(bytes: Buffer): void;
  /** The client sends no more; it may still read. */
  end(): void;
  /** All that was written is with the kernel, after some of it had to wait. */
  drain(): void;
  /** Nothing more happens. */
  closed(): void;
}

export interface Connection {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** Octets that wait for the client to read. */
  readonly writableLength: number;
  /** Before it is served: `gone` is called where the client leaves. */
  wait(gone: () => void): void;
  /** From here on bytes are read, and `events` hears of them; called once. */
  serve(events: ConnectionEvents): void;
  /** Reads no more until `resume`. */
  pause(): void;
  resume(): void;
  /** A string goes as UTF-8. `done` is called when the kernel has all of it. */
  write(data: string | Buffer, done?: () => void): void;
  /** Ends it at once in both directions; what the kernel has is still sent. */
  destroy(): void;
}

export class SocketConnection implements Connection {
  readonly #socket: Socket;
  #gone: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress;
  }

  get localPort(): number | undefined {
    return this.#socket.localPort;
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  wait(gone: () => void): void {
    this.#gone = gone;
    this.#socket.once('end', gone).once('close', gone);
  }

  serve(events: ConnectionEvents): void {
    const socket = this.#socket;
    if (this.#gone !== undefined) socket.off('end', this.#gone).off('close', this.#gone);
    socket
      .on('end', () => events.end())
      .on('close', () => events.closed())
      .on('drain', () => events.drain())
      .on('data', (bytes: Buffer) => events.data(bytes));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  write(data: string | Buffer, done?: () => void): void {
    if (done === undefined) this.#socket.write(data);
    else this.#socket.write(data, () => done());
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
