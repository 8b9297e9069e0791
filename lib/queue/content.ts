/**
 * Reading message content for a delivery: at hand in the request, or in chunks of the CONTENT stream.
 */
import type { ContentReference } from '../clients/protocols.ts';

/** Where the content of a message is: `content` where it is small, else the reference. */
export interface ContentSource {
  readonly content: Buffer;
  readonly contentSize: number;
  readonly contentReference: ContentReference | undefined;
}

/** The chunks are not there (yet, or any more): the attempt is deferred, never bounced. */
export class ContentMissing extends Error {
  override readonly name = 'ContentMissing';
}

export interface ContentReader {
  /** The pieces in order, with LF line ends as in the log; at most one chunk is held in memory. Throws ContentMissing. */
  read(source: ContentSource, signal?: AbortSignal): AsyncIterable<Buffer>;
}
