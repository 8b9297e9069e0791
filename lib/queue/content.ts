/**
 * Message content outside frames: chunks of the CONTENT stream, one subject per message. Written as the message arrives,
 * before the envelope that commits them; read back one chunk at a time for a delivery.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { ContentReference } from '../clients/protocols.ts';
import type { Nats } from '../server/stores.ts';
import { contentPassed } from '../util/sweep.ts';
import { publish } from './publish.ts';
import { CONTENT_STREAM, contentSubject } from './streams.ts';

/** Where the content of a message is: `content` where it is small, else the reference. */
export interface ContentSource {
  readonly content: Buffer;
  readonly contentSize: number;
  readonly contentReference: ContentReference | undefined;
}

/** The chunks are not there (yet, or any more): the attempt is deferred, never bounced. */
export class ContentMissing extends Error {
  override readonly name: string = 'ContentMissing';
}

/** The CONTENT stream answered that it has no such chunks, or others than were written: asking again does not help. */
export class ContentGone extends ContentMissing {
  override readonly name = 'ContentGone';
}

export interface ContentReader {
  /** The pieces in order, with LF line ends as in the log; at most one chunk is held in memory. Throws ContentMissing. */
  read(source: ContentSource, signal?: AbortSignal): AsyncIterable<Buffer>;
}

/** Octets of a chunk; small enough for the server's default max_payload of 1 MiB. */
export const CHUNK_SIZE = 256 * 1024;

/** Milliseconds until the answer to a chunk counts as lost. */
const CHUNK_TIMEOUT = 10_000;

/** A chunk could not be stored; `noSpace` where the server said that it has no room. */
export class ChunkRefused extends Error {
  override readonly name = 'ChunkRefused';
  readonly noSpace: boolean;

  constructor(message: string, noSpace: boolean) {
    super(message);
    this.noSpace = noSpace;
  }
}

/** Creation time of the CONTENT stream, asked once a connection. */
async function streamCreated(nats: Nats): Promise<string> {
  return (await nats.manager.streams.info(CONTENT_STREAM)).created;
}

/** Takes content in pieces and writes a chunk whenever one is full. Nothing refers to the chunks until an envelope does. */
export class ContentWriter {
  readonly #nats: Nats;
  readonly #token = randomBytes(16).toString('hex');
  /** One buffer for all chunks: what is published has been answered, and so was copied, before the next is filled. */
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_SIZE);
  #pending = 0;
  #size = 0;
  #checksum = 0;
  #chunks = 0;
  #first = 0;
  #last = 0;
  #writtenAt = 0;

  constructor(nats: Nats) {
    this.#nats = nats;
  }

  /** Octets taken so far. */
  get size(): number {
    return this.#size + this.#pending;
  }

  /** Throws ChunkRefused. */
  async write(piece: Buffer): Promise<void> {
    for (let from = 0; from < piece.length; ) {
      const copied = piece.copy(this.#chunk, this.#pending, from);
      from += copied;
      this.#pending += copied;
      if (this.#pending === CHUNK_SIZE) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const chunk = this.#chunk.subarray(0, this.#pending);
    this.#pending = 0;
    if (this.#chunks === 0) this.#writtenAt = Date.now();
    try {
      const expectation = { stream: CONTENT_STREAM, lastSubjectSequence: this.#last };
      this.#last = await publish(this.#nats.connection, contentSubject(this.#token), chunk, expectation, CHUNK_TIMEOUT);
    } catch (error) {
      // Whether it was stored does not matter: no envelope will name this subject, and it is swept later.
      const noSpace = error instanceof JetStreamApiError && error.code !== 10071;
      throw new ChunkRefused(`the CONTENT stream did not take a chunk: ${String(error)}`, noSpace);
    }
    if (this.#chunks === 0) this.#first = this.#last;
    this.#chunks++;
    this.#size += chunk.length;
    this.#checksum = crc32(chunk, this.#checksum);
    contentPassed(chunk.length);
  }

  /** Writes what is left and says where it all is. */
  async finish(): Promise<ContentReference> {
    if (this.#pending > 0) await this.#flush();
    return {
      subject: this.#token,
      firstSequence: this.#first,
      chunks: this.#chunks,
      size: this.#size,
      checksum: this.#checksum,
      streamCreated: await streamCreated(this.#nats),
      writtenAt: this.#writtenAt,
    };
  }
}

/** A replica that answers for the stream may not have the newest chunks yet: what it misses is asked of the leader. */
async function readChunk(nats: Nats, query: { readonly seq: number; readonly next_by_subj: string }) {
  const { direct, streams } = nats.manager;
  return (await direct.getMessage(CONTENT_STREAM, query)) ?? (await streams.getMessage(CONTENT_STREAM, query));
}

async function* readChunks(nats: Nats, reference: ContentReference, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let sequence = reference.firstSequence;
  let size = 0;
  let checksum = 0;
  for (let chunk = 0; chunk < reference.chunks; chunk++) {
    signal?.throwIfAborted();
    const message = await readChunk(nats, { seq: sequence, next_by_subj: contentSubject(reference.subject) });
    if (message === null)
      throw new ContentGone(`chunk ${chunk} of ${reference.chunks} of content ${reference.subject} is missing`);
    const data = Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength);
    sequence = message.seq + 1;
    size += data.length;
    checksum = crc32(data, checksum);
    // The last chunk is held back until the whole is known to be right: a receiver must not see the end of a message
    // whose bytes are not those that were accepted.
    if (chunk === reference.chunks - 1 && (size !== reference.size || checksum !== reference.checksum)) {
      throw new ContentGone(
        `content ${reference.subject} is damaged: ${size} of ${reference.size} octets, or a wrong checksum`,
      );
    }
    yield data;
    contentPassed(data.length);
  }
}

/** Reads inline content and chunks. Chunks that cannot be had now are ContentMissing, those that are lost ContentGone. */
export function createContentReader(nats: () => Promise<Nats>): ContentReader {
  return {
    async *read(source, signal) {
      if (source.contentReference === undefined) {
        if (source.content.length > 0) yield source.content;
        return;
      }
      try {
        yield* readChunks(await nats(), source.contentReference, signal);
      } catch (error) {
        if (error instanceof ContentMissing || signal?.aborted === true) throw error;
        throw new ContentMissing(`content ${source.contentReference.subject} cannot be read: ${String(error)}`, {
          cause: error,
        });
      }
    },
  };
}

/** Removes the chunks of a message that is finished. */
export async function purgeContent(nats: Nats, subject: string): Promise<void> {
  await nats.manager.streams.purge(CONTENT_STREAM, { filter: contentSubject(subject) });
}
