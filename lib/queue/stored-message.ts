/**
 * A message of the queue as it lies in the logs: its whole envelope, and where its content is.
 *
 * Resolves to undefined where the entry is not there, or is another message's (a stream that was made anew): whoever asks
 * looks up the location again, or keeps the row. Chunks that cannot be had are ContentMissing.
 */
import { Envelope } from '../clients/protocols.ts';
import type { ContentReader, ContentSource } from './content.ts';
import type { EntryAddress, EntryReader } from './entry-reader.ts';

export interface StoredMessage {
  readonly envelope: Envelope;
  readonly source: ContentSource;
}

export async function readStoredMessage(
  entries: EntryReader,
  content: ContentReader,
  at: EntryAddress,
  queueId: string,
): Promise<StoredMessage | undefined> {
  const entry = await entries.read(at);
  if (entry === undefined || entry.envelope.queueId !== queueId) return undefined;
  const envelope = await wholeEnvelope(entry.envelope, content);
  const source = {
    content: entry.content,
    contentSize: envelope.contentSize,
    contentReference: envelope.contentReference,
  };
  return { envelope, source };
}

/** An envelope that is too large for a frame is only named in its entry, and lies in chunks itself. */
async function wholeEnvelope(envelope: Envelope, content: ContentReader): Promise<Envelope> {
  const reference = envelope.envelopeReference;
  if (reference === undefined) return envelope;
  const pieces: Buffer[] = [];
  const source = { content: Buffer.alloc(0), contentSize: reference.size, contentReference: reference };
  for await (const piece of content.read(source)) pieces.push(piece);
  return Envelope.decode(Buffer.concat(pieces));
}
