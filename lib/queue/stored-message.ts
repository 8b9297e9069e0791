/**
 * A message of the queue as it lies in the logs: its whole envelope, and where its content is.
 *
 * Resolves to undefined where the entry is not there, or is another message's (a stream that was made anew): whoever asks
 * looks up the location again, or keeps the row. Chunks that cannot be had are ContentMissing.
 */
import type { Envelope } from '../clients/protocols.ts';
import type { ContentSource } from './content.ts';
import type { EntryAddress, EntryReader } from './entry-reader.ts';

export interface StoredMessage {
  readonly envelope: Envelope;
  readonly source: ContentSource;
}

export async function readStoredMessage(
  entries: EntryReader,
  at: EntryAddress,
  queueId: string,
): Promise<StoredMessage | undefined> {
  const entry = await entries.read(at);
  if (entry === undefined || entry.envelope.queueId !== queueId) return undefined;
  const { envelope } = entry;
  const source = {
    content: entry.content,
    contentSize: envelope.contentSize,
    contentReference: envelope.contentReference,
  };
  return { envelope, source };
}
