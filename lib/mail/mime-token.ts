/**
 * Words of structured MIME headers (RFC 2045 section 5.1): tokens, quoted strings and single special characters, comments
 * left out, line folding undone. They come in groups that end at a semicolon: type and subtype, then a parameter each.
 *
 * Pure. Cost is linear in the text.
 */

const SPECIALS = '()<>@,;:\\"/[]?=';
/** Words of a group that are kept: `type / subtype`, `name = value`. */
const GROUP_SIZE = 3;

/** Reads groups of words from the text of a header, from behind its colon. */
export class MimeTokens {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The first words of the next group; undefined behind the last one. */
  next(): string[] | undefined {
    const group: string[] = [];
    let any = false;
    for (let word = this.#word(); word !== undefined; word = this.#word()) {
      any = true;
      if (word === ';') break;
      if (group.length < GROUP_SIZE) group.push(word);
    }
    return any ? group : undefined;
  }

  #word(): string | undefined {
    const text = this.#text;
    while (this.#position < text.length) {
      const char = text.charAt(this.#position);
      if (isBlank(char)) this.#position++;
      else if (char === '(') this.#skipComment();
      else if (char === '"') return this.#quotedString();
      else if (SPECIALS.includes(char)) {
        this.#position++;
        return char;
      } else return this.#token();
    }
    return undefined;
  }

  #skipComment(): void {
    let depth = 0;
    for (; this.#position < this.#text.length; this.#position++) {
      const char = this.#text.charAt(this.#position);
      if (char === '\\') this.#position++;
      else if (char === '(') depth++;
      else if (char === ')' && --depth === 0) break;
    }
    this.#position++;
  }

  #quotedString(): string {
    let word = '';
    for (this.#position++; this.#position < this.#text.length; this.#position++) {
      const char = this.#text.charAt(this.#position);
      if (char === '"') break;
      if (char === '\n') {
        // A folded line goes on behind its indentation.
        while (isBlank(this.#text.charAt(this.#position + 1))) this.#position++;
      } else if (char === '\\') {
        word += this.#text.charAt(++this.#position);
      } else {
        word += char;
      }
    }
    this.#position++;
    return word;
  }

  #token(): string {
    const start = this.#position;
    while (this.#position < this.#text.length) {
      const char = this.#text.charAt(this.#position);
      if (isBlank(char) || SPECIALS.includes(char)) break;
      this.#position++;
    }
    return this.#text.slice(start, this.#position);
  }
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r';
}
