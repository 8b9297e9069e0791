/**
 * Patterns for IPv4 addresses as DNS list replies use them: `d.d.d.d` where each part is a number or `[n;n..n;…]`
 * (postconf(5), reject_rbl_client, postscreen_dnsbl_sites). A whole pattern may stand in brackets.
 */

/** Inclusive ranges of one octet. */
type Octet = readonly (readonly [number, number])[];

export interface IpPattern {
  readonly octets: readonly Octet[];
  /** Which of them were written in brackets; only for showing the pattern. */
  readonly bracketed: readonly boolean[];
}

/** A compiled pattern, or what is wrong with the text, with the place between `>` and `<`. */
export function parseIpPattern(text: string): IpPattern | { readonly error: string } {
  let pattern = text;
  if (text.startsWith('[[')) {
    if (!text.endsWith(']')) return { error: 'missing "]" character' };
    pattern = text.slice(1, -1);
  }
  try {
    return new PatternReader(pattern).read();
  } catch (error) {
    if (error instanceof PatternError) return { error: error.message };
    throw error;
  }
}

/** True where the address, four decimal octets, fits the pattern. */
export function matchesIpPattern(pattern: IpPattern, address: string): boolean {
  const octets = address.split('.').map(Number);
  return (
    octets.length === 4 &&
    octets.every((value, at) => pattern.octets[at]!.some(([from, to]) => from <= value && value <= to))
  );
}

/** The pattern in its usual spelling. */
export function formatIpPattern(pattern: IpPattern): string {
  const ranges = pattern.octets.map((octet) =>
    octet.map(([from, to]) => (from === to ? `${from}` : `${from}..${to}`)).join(';'),
  );
  return ranges.map((range, at) => (pattern.bracketed[at] ? `[${range}]` : range)).join('.');
}

class PatternError extends Error {}

class PatternReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): IpPattern {
    const octets: Octet[] = [];
    const bracketed: boolean[] = [];
    while (octets.length < 4) {
      if (octets.length > 0) this.#expect('.', 'need "."');
      bracketed.push(this.#token() === '[');
      octets.push(this.#token() === '[' ? this.#list() : [this.#single('need decimal number 0..255 or "["')]);
    }
    if (this.#token() !== '') throw this.#error('garbage after pattern');
    return { octets, bracketed };
  }

  /** A run of digits, one other character, or nothing at the end. */
  #token(): string {
    return /^(?:\d+|.)?/s.exec(this.#text.slice(this.#at))![0];
  }

  #error(what: string): PatternError {
    const token = this.#token();
    const after = this.#text.slice(this.#at + token.length);
    return new PatternError(`${what} at "${this.#text.slice(0, this.#at)}>${token}<${after}"`);
  }

  #expect(token: string, complaint: string): void {
    if (this.#token() !== token) throw this.#error(complaint);
    this.#at += token.length;
  }

  #number(complaint: string): number {
    const token = this.#token();
    if (!/^\d+$/.test(token) || Number(token) > 255) throw this.#error(complaint);
    this.#at += token.length;
    return Number(token);
  }

  #single(complaint: string): [number, number] {
    const value = this.#number(complaint);
    return [value, value];
  }

  #list(): Octet {
    this.#expect('[', 'need "["');
    const ranges: [number, number][] = [];
    for (;;) {
      ranges.push(this.#range());
      const token = this.#token();
      if (token !== ';' && token !== ']') throw this.#error('need ";" or "]"');
      this.#at += 1;
      if (token === ']') return ranges;
    }
  }

  #range(): [number, number] {
    const [from] = this.#single('need decimal number 0..255');
    if (this.#token() !== '.') return [from, from];
    this.#at += 1;
    this.#expect('.', 'numeric range error');
    const token = this.#token();
    if (!/^\d+$/.test(token) || Number(token) > 255 || Number(token) < from) throw this.#error('numeric range error');
    this.#at += token.length;
    return [from, Number(token)];
  }
}
