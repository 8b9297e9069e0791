/**
 * Reading one entry of a log by its address. Deferred mail of one frame tends to be wanted together, so the last frames
 * are kept, bounded in octets.
 *
 * A frame that is not there, or cannot be understood, is `undefined`: whoever asks looks where the entry has moved to, or
 * holds its row. Rejects when the server cannot be asked.
 */
import { JetStreamApiError } from '@nats-io/jetstream';
import { Envelope } from '../clients/protocols.ts';
import type { Nats } from '../server/stores.ts';
import { type ContentReader, createContentReader } from './content.ts';
import { decodeFrame, type Frame, type FrameEntry } from './frame.ts';

/** The stream's name comes from the log table; sequence and entry from the message's row. */
export interface EntryAddress {
  readonly stream: string;
  readonly sequence: number;
  readonly entry: number;
}

export interface StoredEntry {
  /** The whole envelope, also where the frame holds a stub. */
  readonly envelope: Envelope;
  /** Where the chunks of the envelope are; undefined where it stands in the frame. */
  readonly envelopeSubject: string | undefined;
  /** Empty where the content is in chunks. */
  readonly content: Buffer;
}

export interface EntryReader {
  /** Rejects with ContentMissing where the chunks of an envelope cannot be had. */
  read(address: EntryAddress): Promise<StoredEntry | undefined>;
  /** What stands in the frame, be it a stub: an entry that is copied forward is copied as it is. */
  readBytes(address: EntryAddress): Promise<FrameEntry | undefined>;
}

const CACHE_OCTETS = 16 * 1024 * 1024;
const NO_MESSAGE = 10037;
const NO_STREAM = 10059;

/** The envelope that a stub stands for; envelopes that fit their frame are returned as they are. Throws ContentMissing. */
export async function wholeEnvelope(content: ContentReader, stub: Envelope): Promise<Envelope> {
  if (stub.envelopeReference === undefined) return stub;
  const pieces: Buffer[] = [];
  const source = {
    content: Buffer.alloc(0),
    contentSize: stub.envelopeReference.size,
    contentReference: stub.envelopeReference,
  };
  for await (const piece of content.read(source)) pieces.push(piece);
  return Envelope.decode(Buffer.concat(pieces));
}

/** The last frames that were read, by stream and sequence. */
class FrameCache {
  readonly #frames = new Map<string, { frame: Frame; octets: number }>();
  #octets = 0;

  get(key: string): Frame | undefined {
    const hit = this.#frames.get(key);
    if (hit === undefined) return undefined;
    this.#frames.delete(key);
    this.#frames.set(key, hit);
    return hit.frame;
  }

  set(key: string, frame: Frame, octets: number): void {
    this.#frames.set(key, { frame, octets });
    this.#octets += octets;
    for (const [oldest, entry] of this.#frames) {
      if (this.#octets <= CACHE_OCTETS) break;
      this.#frames.delete(oldest);
      this.#octets -= entry.octets;
    }
  }
}

async function readFrame(
  nats: Nats,
  stream: string,
  sequence: number,
): Promise<{ frame: Frame; octets: number } | undefined> {
  try {
    const message = await nats.manager.direct.getMessage(stream, { seq: sequence });
    if (message === null) return undefined;
    const decoded = decodeFrame(Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength));
    return decoded.kind === 'frame' ? { frame: decoded.frame, octets: message.data.length } : undefined;
  } catch (error) {
    if (error instanceof JetStreamApiError && (error.code === NO_MESSAGE || error.code === NO_STREAM)) return undefined;
    throw error;
  }
}

export function createEntryReader(nats: () => Promise<Nats>): EntryReader {
  const cache = new FrameCache();
  const content = createContentReader(nats);
  const readBytes: EntryReader['readBytes'] = async ({ stream, sequence, entry }) => {
    const key = `${stream}/${sequence}`;
    let frame = cache.get(key);
    if (frame === undefined) {
      const read = await readFrame(await nats(), stream, sequence);
      if (read === undefined) return undefined;
      frame = read.frame;
      cache.set(key, frame, read.octets);
    }
    return frame.entries[entry];
  };
  return {
    readBytes,
    async read(address) {
      const found = await readBytes(address);
      if (found === undefined) return undefined;
      const stub = Envelope.decode(found.envelope);
      return {
        envelope: await wholeEnvelope(content, stub),
        envelopeSubject: stub.envelopeReference?.subject,
        content: found.content,
      };
    },
  };
}
