/**
 * The client's end of an SMTP or LMTP connection: opening it, writing commands, waiting for replies, each with a time
 * limit (lib/util/deadlines.ts).
 *
 * What the server does comes back as a value: a reply, or a `Breakdown` that says that the connection was lost or that
 * the time ran out. After a breakdown the connection is closed and every wait gives the same breakdown again.
 *
 * All connections read into one buffer of the process, which is empty again when the callback returns: a read costs no
 * allocation. Under TLS they read as streams.
 */
import { connect as connectSocket, type NetConnectOpts, type OnReadOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { deadlines, type Limited } from '../util/deadlines.ts';
import { type Reply, ReplyReader } from './client-reply.ts';

/** Why a conversation cannot go on. */
export type Breakdown = 'lost' | 'timeout';

export function isBreakdown(value: unknown): value is Breakdown {
  return value === 'lost' || value === 'timeout';
}

export interface ConnectTarget {
  /** A numerical address and a port, or the path of a UNIX-domain socket. */
  readonly address: string;
  readonly port: number;
  readonly path?: string;
  /** Local address to bind to. */
  readonly localAddress?: string;
  /** Milliseconds; 0 leaves the limit to the operating system. */
  readonly timeout: number;
}

/** The connection was refused, or did not come in time: `text` is what strerror(3) says. */
export interface ConnectFailure {
  readonly code: string;
  readonly text: string;
}

/** Texts of strerror(3): log readers know them. */
const ERRNO_TEXT: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  ETIMEDOUT: 'Connection timed out',
  ENETUNREACH: 'Network is unreachable',
  EHOSTUNREACH: 'No route to host',
  ENETDOWN: 'Network is down',
  EHOSTDOWN: 'Host is down',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EADDRINUSE: 'Address already in use',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  EINVAL: 'Invalid argument',
  EMFILE: 'Too many open files',
  EPIPE: 'Broken pipe',
  EAFNOSUPPORT: 'Address family not supported by protocol',
};

/** A server that talks so much that is no reply will never give one. */
const MOST_NONSENSE = 100;

const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

export class ClientConnection implements Limited {
  deadline = 0;
  #socket: Socket;
  #reader = new ReplyReader();
  #breakdown: Breakdown | undefined;
  /** The one wait that is under way: for a reply, for the socket to take more, or for TLS. */
  #wake: (() => void) | undefined;
  #onIdleEnd: (() => void) | undefined;
  #closing = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Connects, or says why not. The connection is a member of `open` as long as it is not closed. */
  static connect(target: ConnectTarget, open: Set<ClientConnection>): Promise<ClientConnection | ConnectFailure> {
    const { promise, resolve } = Promise.withResolvers<ClientConnection | ConnectFailure>();
    const holder: { connection?: ClientConnection } = {};
    const onread: OnReadOpts = {
      buffer: READ_BUFFER,
      callback: (length) => {
        holder.connection?.receive(READ_BUFFER.subarray(0, length));
        return true;
      },
    };
    const where =
      target.path === undefined
        ? { host: target.address, port: target.port, noDelay: true, autoSelectFamily: false }
        : { path: target.path };
    const local = target.localAddress === undefined ? {} : { localAddress: target.localAddress };
    const socket = connectSocket({ ...where, ...local, onread } as NetConnectOpts);
    const connection = new ClientConnection(socket);
    holder.connection = connection;
    open.add(connection);
    const failed = (code: string) => {
      connection.close();
      resolve({ code, text: ERRNO_TEXT[code] ?? code });
    };
    socket.once('connect', () => {
      connection.deadline = 0;
      connection.#wake = undefined;
      resolve(connection);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ code: error.code ?? '', text: ERRNO_TEXT[error.code ?? ''] ?? error.message });
      connection.#break('lost');
    });
    socket.once('close', () => {
      open.delete(connection);
      deadlines.unwatch(connection);
      connection.#break('lost');
      resolve({ code: 'ECONNABORTED', text: 'Software caused connection abort' });
    });
    socket.once('end', () => connection.#break('lost'));
    connection.#wake = () => failed('ETIMEDOUT');
    connection.limit(target.timeout);
    deadlines.watch(connection);
    return promise;
  }

  /** The local address, for the log; empty where it is not known. */
  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  /** Why the conversation is over, if it is. */
  get breakdown(): Breakdown | undefined {
    return this.#breakdown;
  }

  /** Could another transaction begin: is it open, and did the server say nothing unasked? */
  get isQuiet(): boolean {
    return this.#breakdown === undefined && this.#reader.isEmpty;
  }

  /** Sets the time limit of what comes next, in milliseconds from here; 0 for none. */
  limit(milliseconds: number): void {
    this.deadline = milliseconds === 0 ? 0 : performance.now() + milliseconds;
  }

  expire(): void {
    if (this.#onIdleEnd !== undefined) {
      this.#endIdle();
      return;
    }
    this.#break('timeout');
  }

  /** Sends bytes, or text as UTF-8. Returns false where the caller had better wait with `drained`. */
  write(data: string | Buffer): boolean {
    if (this.#breakdown !== undefined) return true;
    return this.#socket.write(data);
  }

  /** Was all that came a reply? */
  get heardNothingElse(): boolean {
    return !this.#reader.hasNonsense;
  }

  /** Something that the server said and that is no reply, for the log. */
  takeNonsense(): string | undefined {
    return this.#reader.takeNonsense();
  }

  /** The next reply if it is here already. */
  takeReply(): Reply | undefined {
    return this.#reader.take();
  }

  /** The next reply, waiting at most `timeout` milliseconds for more of it. */
  async reply(timeout: number): Promise<Reply | Breakdown> {
    for (;;) {
      const reply = this.#reader.take();
      if (reply !== undefined) {
        this.deadline = 0;
        return reply;
      }
      if (this.#breakdown !== undefined) return this.#breakdown;
      this.limit(timeout);
      await this.#wait();
    }
  }

  /** Waits until the operating system took most of what was written: undefined, or the breakdown. */
  async drained(timeout: number): Promise<Breakdown | undefined> {
    while (this.#breakdown === undefined && this.#socket.writableNeedDrain) {
      this.limit(timeout);
      const woken = this.#wait();
      const wake = () => this.#wakeUp();
      this.#socket.once('drain', wake);
      await woken;
      this.#socket.off('drain', wake);
    }
    this.deadline = 0;
    return this.#breakdown;
  }

  /** Keeps the connection open unused for so long; `end` is called when the time is over or the server speaks or closes. */
  idle(milliseconds: number, end: () => void): void {
    this.#onIdleEnd = end;
    this.limit(milliseconds);
  }

  /** Takes it up again. */
  busy(): void {
    this.#onIdleEnd = undefined;
    this.deadline = 0;
  }

  /** Changes to TLS. The socket when it stands, else why not. */
  async startTls(options: ConnectionOptions, timeout: number): Promise<TLSSocket | string> {
    const plain = this.#socket;
    // Nothing that was said in the clear may be taken for a reply under TLS.
    this.#reader = new ReplyReader();
    plain.removeAllListeners('end');
    const secured = connectTls({ ...options, socket: plain });
    let problem: string | undefined;
    let done = false;
    secured.once('secureConnect', () => {
      done = true;
      this.#wakeUp();
    });
    secured.on('error', (error: Error) => {
      problem ??= error.message;
      this.#break('lost');
    });
    secured.once('close', () => this.#break('lost'));
    this.#socket = secured;
    this.#readStream(secured);
    this.limit(timeout);
    while (!done && this.#breakdown === undefined) await this.#wait();
    this.deadline = 0;
    if (done && this.#breakdown === undefined) return secured;
    return problem ?? (this.#breakdown === 'timeout' ? 'handshake timed out' : 'lost connection');
  }

  /** Says QUIT without waiting for the answer, and closes. */
  quit(): void {
    if (this.#breakdown !== undefined) return;
    this.#breakdown = 'lost';
    this.#onIdleEnd = undefined;
    this.#socket.end('QUIT\r\n');
    // The server has its time to close; a reply to QUIT interests nobody.
    this.deadline = performance.now() + 5000;
    this.#closing = true;
  }

  close(): void {
    this.#break('lost');
    this.#socket.destroy();
  }

  /** Bytes from the server. */
  receive(bytes: Buffer): void {
    if (this.#closing) return;
    this.#reader.push(bytes);
    if (this.#reader.nonsenseCount > MOST_NONSENSE) this.#break('lost');
    if (this.#onIdleEnd !== undefined) this.#endIdle();
    else this.#wakeUp();
  }

  #readStream(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => this.receive(bytes));
    socket.once('end', () => this.#break('lost'));
  }

  #endIdle(): void {
    const end = this.#onIdleEnd;
    this.#onIdleEnd = undefined;
    end?.();
  }

  #wait(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #break(breakdown: Breakdown): void {
    if (this.#closing) {
      this.#socket.destroy();
      return;
    }
    if (this.#breakdown !== undefined) return;
    this.#breakdown = breakdown;
    this.#socket.destroy();
    if (this.#onIdleEnd !== undefined) this.#endIdle();
    this.#wakeUp();
  }
}
