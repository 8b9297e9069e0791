/**
 * Quoting of address local parts: between the internal form of an address (no quotes; what envelopes, tables and the
 * queue hold) and the external form (what stands in message headers and in SMTP commands).
 *
 * A local part that is a dot-atom (RFC 5322 section 3.2.3; RFC 5321 section 4.1.2 for SMTP) stays as it is. Anything
 * else becomes a quoted string. A source route in front stays. The local part ends at the last `@`; the domain is never quoted.
 *
 * Pure. Addresses are strings with one character per byte, or decoded UTF-8: characters beyond ASCII count as 8-bit data.
 */

/** How to quote. */
export interface QuoteOptions {
  /** Leave 8-bit characters alone (default true); else they make a quoted string and get a backslash each. */
  readonly eightBitClean?: boolean;
  /** Do not treat `@` in the local part as a special character, so that routing by `@` stays visible. */
  readonly exposeAt?: boolean;
  /** The whole text is a local part, whatever `@` it contains. */
  readonly bareLocalpart?: boolean;
}

const ORDINARY = 0;
const SPECIAL = 1;
const DOT = 2;
const AT = 3;

/** Characters that cannot stand in an RFC 5322 atom, by character code below 128. */
const CLASS_822 = classTable('()<>@,;:\\"[]');
/** The same for RFC 5321. The set of specials is the same; the tables differ where the standards may. */
const CLASS_821 = classTable('<>()[]\\,;:@"');

function classTable(specials: string): Uint8Array {
  const table = new Uint8Array(128);
  for (let code = 0; code < 128; code++) {
    if (code <= 32 || code === 127) table[code] = SPECIAL;
  }
  for (const special of specials) table[special.charCodeAt(0)] = SPECIAL;
  table['.'.charCodeAt(0)] = DOT;
  table['@'.charCodeAt(0)] = AT;
  return table;
}

/** Is text[0..end) a non-empty run of atoms with single dots between them? */
function isDotString(text: string, end: number, table: Uint8Array, options: QuoteOptions): boolean {
  if (end === 0) return false;
  let afterDot = true;
  for (let index = 0; index < end; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) {
      if (options.eightBitClean === false) return false;
      afterDot = false;
      continue;
    }
    const kind = table[code];
    if (kind === ORDINARY) {
      afterDot = false;
    } else if (kind === DOT) {
      if (afterDot) return false;
      afterDot = true;
    } else if (kind === AT && options.exposeAt) {
      afterDot = false;
    } else {
      return false;
    }
  }
  return !afterDot;
}

function quoteText(text: string, end: number, options: QuoteOptions, escapeNewline: boolean): string {
  let quoted = '"';
  for (let index = 0; index < end; index++) {
    const char = text.charAt(index);
    if (
      char === '"' ||
      char === '\\' ||
      char === '\r' ||
      (escapeNewline && char === '\n') ||
      (options.eightBitClean === false && char.charCodeAt(0) > 127)
    ) {
      quoted += '\\';
    }
    quoted += char;
  }
  return `${quoted}"`;
}

function quoteMailbox(address: string, table: Uint8Array, options: QuoteOptions, escapeNewline: boolean): string {
  const at = options.bareLocalpart ? -1 : address.lastIndexOf('@');
  const end = at < 0 ? address.length : at;
  if (isDotString(address, end, table, options)) return address;
  return quoteText(address, end, options, escapeNewline) + address.slice(end);
}

/** Where a source route (`@site,@site:`) in front of the localpart ends; 0 where there is none. */
function routeEnd(address: string): number {
  return address.startsWith('@') ? address.indexOf(':') + 1 : 0;
}

/**
 * Internal form to the form of message headers (RFC 5322).
 * The empty address becomes `""`: who writes a null reverse-path writes `<>` and does not come here.
 */
export function quote822Local(address: string, options: QuoteOptions = {}): string {
  const start = routeEnd(address);
  return start === 0
    ? quoteMailbox(address, CLASS_822, options, false)
    : address.slice(0, start) + quoteMailbox(address.slice(start), CLASS_822, options, false);
}

/** Internal form to the form of SMTP commands (RFC 5321): without source routes, and a newline gets a backslash too. */
export function quote821Local(address: string, options: QuoteOptions = {}): string {
  return quoteMailbox(address, CLASS_821, options, true);
}

/** External form to internal form: quotes and backslashes of the local part go, up to the first `@` outside quotes. */
export function unquote822Local(address: string): string {
  if (!address.includes('"') && !address.includes('\\')) return address;
  const start = routeEnd(address);
  let local = address.slice(0, start);
  let inQuotes = false;
  for (let index = start; index < address.length; index++) {
    const char = address.charAt(index);
    if (char === '@' && !inQuotes) return local + address.slice(index);
    if (char === '"') {
      inQuotes = !inQuotes;
    } else if (char === '\\') {
      index += 1;
      local += address.charAt(index);
    } else {
      local += char;
    }
  }
  return local;
}
