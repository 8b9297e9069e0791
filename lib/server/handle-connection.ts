/**
 * A connection on Node's own handle of a socket, without the stream around it (docs/adr/0008-handles.md says what that
 * saves). All connections of a thread read into one buffer, and a reply that the kernel takes at once leaves nothing behind.
 *
 * The handle is not part of Node's documented interface. `handlesAreKnown` looks at everything that is used here, and
 * where a version of Node lacks some of it, SocketConnection takes its place.
 */
import type { Server } from 'node:net';
import type { Connection, ConnectionEvents } from './connection.ts';

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Kept until the kernel has it. */
  data: string | Buffer;
}

interface SocketName {
  address: string | undefined;
  family: string | undefined;
  port: number | undefined;
}

/** With all the fields that the handle fills in: adding one after the other takes longer. */
const noName = (): SocketName => ({ address: undefined, family: undefined, port: undefined });

/** The parts of Node's TCP handle that are used; numbers below 0 are errors of libuv. */
interface TcpHandle {
  onread: () => void;
  connection: HandleConnection | undefined;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  getpeername(out: SocketName): number;
  getsockname(out: SocketName): number;
  setNoDelay(on: boolean): number;
  writeUtf8String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
  close(done: () => void): void;
}

interface ListeningHandle {
  onconnection: (status: number, handle: TcpHandle | undefined) => void;
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** Results of the last call, at the places that the other fields say. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kBytesWritten: number;
  readonly kLastWriteWasAsync: number;
}

const HANDLE_METHODS = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'getpeername',
  'getsockname',
  'setNoDelay',
  'writeUtf8String',
  'writeBuffer',
  'close',
];

/** UV_EOF: the other side sends no more. */
const END = -4095;
/** Octets that one read takes at most. */
const READ_BUFFER = 64 * 1024;

function findBinding(): StreamBinding | undefined {
  const { binding } = process as { binding?: (name: string) => unknown };
  try {
    const found = binding?.('stream_wrap') as Partial<StreamBinding> | undefined;
    const { WriteWrap, streamBaseState, kReadBytesOrError, kBytesWritten, kLastWriteWasAsync } = found ?? {};
    if (typeof WriteWrap !== 'function' || !ArrayBuffer.isView(streamBaseState)) return undefined;
    const places = [kReadBytesOrError, kBytesWritten, kLastWriteWasAsync];
    return places.every((place) => Number.isInteger(place)) ? (found as StreamBinding) : undefined;
  } catch {
    // A Node without this function, or with another of the name: there are streams.
    return undefined;
  }
}

const binding = findBinding();

/** Where the results of the last call are; only read where the binding is there. */
const STATE = binding?.streamBaseState ?? new Int32Array(0);
const READ = binding?.kReadBytesOrError ?? 0;
const WRITTEN = binding?.kBytesWritten ?? 0;
const WAITS = binding?.kLastWriteWasAsync ?? 0;

/** Octets that a client may send before anybody serves it. */
const EARLY_LIMIT = 4096;

/** Reading and handing over is one turn, so that one buffer serves all. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER);

/** A request is used up only by a write that has to wait: until then one serves all. */
let spare: WriteRequest | undefined;

/** Called as a method of the handle: bytes came, or an end. */
function onRead(this: TcpHandle): void {
  this.connection?.read(STATE[READ]!);
}

function isHandle(handle: unknown): handle is TcpHandle {
  return HANDLE_METHODS.every((name) => typeof (handle as Record<string, unknown>)[name] === 'function');
}

/** Whether connections of that server, which listens, can be had as handles. */
export function handlesAreKnown(server: Server): boolean {
  const { _handle: handle } = server as unknown as { readonly _handle?: Partial<ListeningHandle> };
  return binding !== undefined && typeof handle?.onconnection === 'function' && isHandle(handle);
}

/** From here on the server's connections go to `accept`; what it could not accept is the server's own affair, as before. */
export function acceptHandles(server: Server, accept: (connection: Connection) => void): void {
  const listening = (server as unknown as { _handle: ListeningHandle })._handle;
  const byServer = listening.onconnection;
  listening.onconnection = function onConnection(this: unknown, status, handle) {
    if (status !== 0 || handle === undefined) byServer.call(this as ListeningHandle, status, handle);
    else accept(new HandleConnection(handle));
  };
}

class HandleConnection implements Connection {
  readonly #handle: TcpHandle;
  #events: ConnectionEvents | undefined;
  #gone: (() => void) | undefined;
  /** What came before it was served. */
  #early: Buffer | undefined;
  #peer: SocketName | undefined;
  #own: SocketName | undefined;
  #paused = false;
  #reading = false;
  /** The client sends no more. */
  #ended = false;
  #closing = false;
  #closed = false;

  writableLength = 0;

  constructor(handle: TcpHandle) {
    this.#handle = handle;
    handle.connection = this;
    handle.onread = onRead;
    handle.setNoDelay(true);
    handle.useUserBuffer(readBuffer);
  }

  get remoteAddress(): string | undefined {
    return this.#peerName().address;
  }

  get remotePort(): number | undefined {
    return this.#peerName().port;
  }

  get localAddress(): string | undefined {
    return this.#ownName().address;
  }

  get localPort(): number | undefined {
    return this.#ownName().port;
  }

  #peerName(): SocketName {
    if (this.#peer === undefined) {
      this.#peer = noName();
      // A client that is gone already has no name.
      if (!this.#closing) this.#handle.getpeername(this.#peer);
    }
    return this.#peer;
  }

  #ownName(): SocketName {
    if (this.#own === undefined) {
      this.#own = noName();
      if (!this.#closing) this.#handle.getsockname(this.#own);
    }
    return this.#own;
  }

  wait(gone: () => void): void {
    this.#gone = gone;
    this.#start();
  }

  serve(events: ConnectionEvents): void {
    this.#gone = undefined;
    this.#events = events;
    if (this.#closed) {
      process.nextTick(() => events.closed());
      return;
    }
    if (this.#early === undefined) this.#start();
    else process.nextTick(() => this.#handOverEarly());
  }

  /** What came before it was served comes first, when somebody takes it. */
  #handOverEarly(): void {
    const early = this.#early;
    if (this.#closing || this.#paused || early === undefined) return;
    this.#early = undefined;
    this.#start();
    this.#events?.data(early);
    if (this.#ended) this.#events?.end();
  }

  #start(): void {
    if (this.#reading || this.#closing || this.#ended) return;
    this.#reading = true;
    if (this.#handle.readStart() < 0) this.destroy();
  }

  #stop(): void {
    if (!this.#reading || this.#closing) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  /** The kernel's answer to a read: a number of octets in the buffer, or an end. */
  read(result: number): void {
    if (this.#closing || result === 0) return;
    if (result > 0) {
      const bytes = readBuffer.subarray(0, result);
      if (this.#events !== undefined) this.#events.data(bytes);
      else {
        // Nobody serves it yet. Reading goes on, so that its leaving is noticed, but for one that has much to say.
        this.#early = this.#early === undefined ? Buffer.from(bytes) : Buffer.concat([this.#early, bytes]);
        if (this.#early.length > EARLY_LIMIT) this.#stop();
      }
    } else if (result === END && (this.#events !== undefined || this.#early !== undefined)) {
      // Of one that has said all it has to say before its turn came, that is still to be heard.
      this.#ended = true;
      this.#events?.end();
    } else {
      this.#gone?.();
      this.destroy();
    }
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stop();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#early === undefined) this.#start();
    else process.nextTick(() => this.#handOverEarly());
  }

  write(data: string | Buffer, done?: () => void): void {
    if (this.#closing || binding === undefined) return;
    const request = spare ?? new binding.WriteWrap();
    spare = undefined;
    const status =
      typeof data === 'string' ? this.#handle.writeUtf8String(request, data) : this.#handle.writeBuffer(request, data);
    if (status < 0) {
      this.destroy();
      return;
    }
    if (STATE[WAITS] === 0) {
      spare = request;
      done?.();
      return;
    }
    const octets = STATE[WRITTEN]!;
    this.writableLength += octets;
    request.data = data;
    request.oncomplete = (result) => this.#written(result, octets, done);
  }

  #written(result: number, octets: number, done: (() => void) | undefined): void {
    this.writableLength -= octets;
    if (this.#closing) return;
    if (result < 0) {
      this.destroy();
      return;
    }
    done?.();
    if (!this.#closing && this.writableLength === 0) this.#events?.drain();
  }

  destroy(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#handle.close(() => {
      this.#closed = true;
      this.#handle.connection = undefined;
      this.#events?.closed();
    });
  }
}
