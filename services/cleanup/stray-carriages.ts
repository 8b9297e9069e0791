/**
 * cleanup_replace_stray_cr_lf (postconf(5)): a CR that stands alone in content becomes a blank. The next server might take
 * it for part of a line end, and what follows for an end of data and commands. A lone LF cannot be: it ends a line here.
 */
const CR = 13;
const BLANK = 32;

/** The content itself where it has none, which is nearly always; else a copy. */
export function replaceCarriages(content: Buffer): Buffer {
  const first = content.indexOf(CR);
  if (first < 0) return content;
  const replaced = Buffer.from(content);
  for (let at = first; at >= 0; at = replaced.indexOf(CR, at + 1)) replaced[at] = BLANK;
  return replaced;
}

export async function* replaceCarriagesIn(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) yield replaceCarriages(piece);
}
