/**
 * The content of one message as it is received: kept in memory up to the inline limit, streamed to cleanup(8) beyond it,
 * and dropped where it grows larger than message_size_limit. Memory stays bounded whatever a client sends, in pieces of
 * whatever size.
 */
import type { SubmitReply } from '../../lib/clients/protocols.ts';
import { introduction } from '../../lib/mail/first-line.ts';
import type { ContentSink } from '../../lib/smtp/data-scanner.ts';
import { ContentStream } from './content-stream.ts';

export interface ContentLimits {
  /** Bytes that are kept in memory. */
  readonly inline: number;
  /** message_size_limit; 0 for none. */
  readonly message: number;
}

/** Octets of the first buffer: most messages that people write fit. It doubles as long as it has to. */
const FIRST_BUFFER = 8 * 1024;
const NOTHING = Buffer.alloc(0);

/** First buffers are cut from a larger one: each of its own costs the allocator and the collector as much as its content. */
const SLAB = 8 * FIRST_BUFFER;
let slab: Buffer<ArrayBuffer> = NOTHING;
let slabAt = SLAB;

function firstBuffer(): Buffer<ArrayBuffer> {
  if (slabAt === SLAB) {
    slab = Buffer.allocUnsafeSlow(SLAB);
    slabAt = 0;
  }
  slabAt += FIRST_BUFFER;
  return slab.subarray(slabAt - FIRST_BUFFER, slabAt);
}

/** The client went away, or the message is refused: cleanup(8) forgets what it got. */
export class ContentAborted extends Error {
  override readonly name = 'ContentAborted';
}

export class Content implements ContentSink {
  readonly #limits: ContentLimits;
  readonly #submitLarge: (content: AsyncIterable<Buffer>) => Promise<SubmitReply>;
  readonly #onDrain: () => void;
  #kept = NOTHING;
  /** Octets of it that are content. */
  #length = 0;
  #stream: ContentStream | undefined;
  #reply: Promise<SubmitReply> | undefined;

  /** Bytes received, with those that were dropped. */
  size = 0;
  /** Bytes of them that the client did not send. */
  prepended = 0;
  tooLarge = false;

  /** `submitLarge` starts a submission of content beyond the inline limit; `onDrain` says that there is room again. */
  constructor(
    limits: ContentLimits,
    submitLarge: (content: AsyncIterable<Buffer>) => Promise<SubmitReply>,
    onDrain: () => void,
  ) {
    this.#limits = limits;
    this.#submitLarge = submitLarge;
    this.#onDrain = onDrain;
  }

  /** True where the reader of the content is behind: the socket must wait. */
  get full(): boolean {
    return this.#stream?.full ?? false;
  }

  /** Headers of ours, before anything else. */
  prepend(headers: Buffer): void {
    this.write(headers);
    this.prepended = this.size;
  }

  /** Sets what the client begins with apart from headers of ours; where there are none, cleanup(8) sees to it. */
  introduce(bytes: Buffer, from: number, to: number): void {
    if (this.prepended > 0 && this.size === this.prepended) this.write(introduction(bytes.subarray(from, to)));
  }

  /** The piece is copied. */
  write(piece: Buffer): void {
    this.size += piece.length;
    if (this.tooLarge) return;
    if (this.#limits.message > 0 && this.size > this.#limits.message) {
      this.tooLarge = true;
      this.abort('message file too big');
      return;
    }
    if (this.#stream !== undefined) {
      this.#stream.push(Buffer.from(piece));
      return;
    }
    this.#keep(piece);
    if (this.size > this.#limits.inline) this.#stream = this.#startStream();
  }

  #keep(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#kept.length) {
      let room = Math.max(FIRST_BUFFER, this.#kept.length);
      while (room < length) room *= 2;
      const larger = room === FIRST_BUFFER ? firstBuffer() : Buffer.allocUnsafeSlow(room);
      this.#kept.copy(larger, 0, 0, this.#length);
      this.#kept = larger;
    }
    piece.copy(this.#kept, this.#length);
    this.#length = length;
  }

  #takeKept(): Buffer {
    const kept = this.#kept.subarray(0, this.#length);
    this.#kept = NOTHING;
    this.#length = 0;
    return kept;
  }

  #startStream(): ContentStream {
    const stream = new ContentStream(this.#onDrain);
    stream.push(this.#takeKept());
    this.#reply = this.#submitLarge(stream);
    // An answer may come before the content is complete, and whoever gave it reads no further. A failure is seen by who
    // awaits the end of data.
    const release = (): void => stream.release();
    this.#reply.then(release, release);
    return stream;
  }

  /** All of it, where it was kept in memory; else the reply to the large submission. */
  finish(): Buffer | Promise<SubmitReply> {
    if (this.#stream !== undefined && this.#reply !== undefined) {
      this.#stream.end();
      return this.#reply;
    }
    return this.#takeKept();
  }

  abort(reason: string): void {
    this.#takeKept();
    this.#stream?.fail(new ContentAborted(reason));
  }
}
