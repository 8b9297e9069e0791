/** strcasecmp_utf8: order of texts without regard to case. */
import { decodeBytes, encodeBytes } from '../../../lib/util/byte-text.ts';
import { compareFolded } from '../../../lib/util/case-fold.ts';
import { inputLines, printLines } from '../support/tables.ts';

const cut = (text: string, bytes: string | undefined): string =>
  bytes === undefined ? text : decodeBytes(encodeBytes(text).subarray(0, Number(bytes)));

for (const line of inputLines()) {
  const [, left = '', right = '', bytes] = line.split(/\s+/);
  const a = cut(left, bytes);
  const b = cut(right, bytes);
  const order = compareFolded(a, b);
  printLines(`> ${line}`, `"${a}" ${order < 0 ? '<' : order > 0 ? '>' : '=='} "${b}"`);
}
