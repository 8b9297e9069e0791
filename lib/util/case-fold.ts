/**
 * Case folding: the form of a key that does not depend on upper and lower case. ASCII goes the short way; with `unicode`
 * the full default case folding of Unicode applies (ß and ss, ς and σ are the same), as Postfix does with
 * smtputf8_enable. Without, only A–Z fold. Text that is not well-formed folds in ASCII only, so that no byte changes.
 */

const NON_ASCII = /[^\x00-\x7f]/;

/** Cherokee letters fold to upper case, and the dotless i to itself: the exceptions from the rule below. */
const KEEPS_CASE = /[\u0131\u13a0-\u13fd\uab70-\uabbf]/;

/** The folded form of a text. */
export function caseFold(text: string, unicode = true): string {
  if (!NON_ASCII.test(text)) return text.toLowerCase();
  if (!unicode || !text.isWellFormed()) return asciiFold(text);
  let folded = '';
  for (const character of text) folded += foldCharacter(character);
  return folded;
}

/** Lower case for A–Z alone. */
export function asciiFold(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * Default case folding of one character is lower case of its upper case, taken without regard to its place in the word
 * (JavaScript alone would give ς at the end of one). The first step to lower case catches capitals that have no further
 * upper case, such as ẞ.
 */
function foldCharacter(character: string): string {
  if (KEEPS_CASE.test(character)) return foldException(character);
  let folded = '';
  for (const upper of character.toLowerCase().toUpperCase()) folded += upper.toLowerCase();
  return folded;
}

function foldException(character: string): string {
  const code = character.codePointAt(0)!;
  if (code >= 0xab70) return String.fromCodePoint(code - 0xab70 + 0x13a0);
  if (code >= 0x13f8) return String.fromCodePoint(code - 8);
  return character;
}

/** Order of two texts without regard to case: negative, zero, positive, by code points of the folded forms. */
export function compareFolded(left: string, right: string, unicode = true): number {
  const a = caseFold(left, unicode);
  const b = caseFold(right, unicode);
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
