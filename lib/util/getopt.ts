/**
 * Command lines as getopt(3) reads them: single-letter options that may be written together (`-bh`), a value behind its
 * letter or in the next word, and `--` or the first other word as the end of options.
 *
 * Pure. What is wrong is a value: the words in which getopt complains.
 */

export interface CommandLine {
  /** Options in their order; the value is empty for those that have none. */
  readonly options: readonly { readonly letter: string; readonly value: string }[];
  readonly operands: readonly string[];
}

/** `letters` as in getopt(3): a colon after a letter that has a value. */
export function getopt(argv: readonly string[], letters: string): CommandLine | { readonly problem: string } {
  const options: { letter: string; value: string }[] = [];
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') {
      at++;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    for (let position = 1; position < word.length; position++) {
      const letter = word[position]!;
      const known = letter === ':' ? -1 : letters.indexOf(letter);
      if (known < 0) return { problem: `invalid option -- '${letter}'` };
      if (letters[known + 1] !== ':') {
        options.push({ letter, value: '' });
        continue;
      }
      const value = position + 1 < word.length ? word.slice(position + 1) : argv[++at];
      if (value === undefined) return { problem: `option requires an argument -- '${letter}'` };
      options.push({ letter, value });
      break;
    }
  }
  return { options, operands: argv.slice(at) };
}
