/**
 * Reading one entry of a log by its address. Deferred mail of one frame tends to be wanted together, so the last frames
 * are kept, bounded in octets.
 *
 * A frame that is not there, or cannot be understood, is `undefined`: whoever asks looks where the entry has moved to, or
 * holds its row.
 */
import { JetStreamApiError } from '@nats-io/jetstream';
import { Envelope } from '../clients/protocols.ts';
import type { Nats } from '../server/stores.ts';
import { decodeFrame, type Frame } from './frame.ts';

/** The stream's name comes from the log table; sequence and entry from the message's row. */
export interface EntryAddress {
  readonly stream: string;
  readonly sequence: number;
  readonly entry: number;
}

export interface StoredEntry {
  readonly envelope: Envelope;
  readonly envelopeBytes: Buffer;
  /** Empty where the content is in chunks. */
  readonly content: Buffer;
}

export interface EntryReader {
  read(address: EntryAddress): Promise<StoredEntry | undefined>;
}

const CACHE_OCTETS = 16 * 1024 * 1024;

export function createEntryReader(nats: () => Promise<Nats>): EntryReader {
  const cache = new Map<string, { frame: Frame; octets: number }>();
  let octets = 0;

  const frameAt = async (stream: string, sequence: number): Promise<Frame | undefined> => {
    const key = `${stream}/${sequence}`;
    const hit = cache.get(key);
    if (hit !== undefined) {
      cache.delete(key);
      cache.set(key, hit);
      return hit.frame;
    }
    const { manager } = await nats();
    let message: { data: Uint8Array } | null;
    try {
      message = await manager.direct.getMessage(stream, { seq: sequence });
    } catch (error) {
      if (error instanceof JetStreamApiError && (error.code === 10037 || error.code === 10059)) return undefined;
      throw error;
    }
    if (message === null) return undefined;
    const decoded = decodeFrame(Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength));
    if (decoded.kind !== 'frame') return undefined;
    cache.set(key, { frame: decoded.frame, octets: message.data.length });
    octets += message.data.length;
    for (const [oldest, { octets: freed }] of cache) {
      if (octets <= CACHE_OCTETS) break;
      cache.delete(oldest);
      octets -= freed;
    }
    return decoded.frame;
  };

  return {
    async read({ stream, sequence, entry }) {
      const found = (await frameAt(stream, sequence))?.entries[entry];
      if (found === undefined) return undefined;
      return { envelope: Envelope.decode(found.envelope), envelopeBytes: found.envelope, content: found.content };
    },
  };
}
