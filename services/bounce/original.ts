/** What is returned of the original message: all of it while it is small, or its headers. Memory is bounded. */
import type { AttachedOriginal } from '../../lib/mail/bounce-message.ts';
import type { ContentReader } from '../../lib/queue/content.ts';
import type { StoredMessage } from '../../lib/queue/stored-message.ts';

/** Octets in which the headers of an original are looked for; what lies beyond is left out. */
const HEADERS_LIMIT = 256 * 1024;

export async function attachedOriginal(
  content: ContentReader,
  { source }: StoredMessage,
  wanted: 'message' | 'headers',
  sizeLimit: number,
  signal: AbortSignal,
): Promise<AttachedOriginal> {
  const kind = wanted === 'message' && source.contentSize <= sizeLimit ? 'message' : 'headers';
  const limit = kind === 'message' ? sizeLimit : HEADERS_LIMIT;
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of content.read(source, signal)) {
    pieces.push(piece);
    length += piece.length;
    if (length >= limit) break;
  }
  const all = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  return { kind, content: kind === 'message' ? all : wholeLines(all, limit) };
}

/** At most `limit` octets, ended at a line end where there is one. */
function wholeLines(content: Buffer, limit: number): Buffer {
  if (content.length <= limit) return content;
  const end = content.lastIndexOf(10, limit - 1);
  return content.subarray(0, end < 0 ? limit : end + 1);
}
