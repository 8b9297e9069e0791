/**
 * Address extensions: `user+extension@domain` with recipient_delimiter `+`.
 *
 * recipient_delimiter is a set of characters; the extension begins at the first of them that is not the first character
 * of the local part. Some names are never split: mailer-daemon and double-bounce, and with `-` in the delimiter set
 * the names `owner-list` and `list-request` (unless owner_request_special is off). See postconf(5), recipient_delimiter.
 *
 * Pure.
 */

/** What splitAddress found. */
export interface SplitAddress {
  /** The local part without its extension. */
  readonly base: string;
  /** The extension without its delimiter; undefined where there is none, empty for `user+`. */
  readonly extension: string | undefined;
  /** The delimiter character that was found; empty where there is no extension. */
  readonly delimiter: string;
}

/** Settings that decide which local parts are left alone. */
export interface SplitOptions {
  /** double_bounce_sender: an address of our own that has no extension. */
  readonly doubleBounceSender?: string;
  /** owner_request_special: `owner-…` and `…-request` are not split where `-` is a delimiter (default true). */
  readonly ownerRequestSpecial?: boolean;
}

/** Splits a local part (no domain) in its base and extension. */
export function splitAddress(localPart: string, recipientDelimiter: string, options: SplitOptions = {}): SplitAddress {
  const whole: SplitAddress = { base: localPart, extension: undefined, delimiter: '' };
  if (recipientDelimiter === '') return whole;
  const position = delimiterPosition(localPart, recipientDelimiter);
  if (position <= 0 || isReserved(localPart, recipientDelimiter, options)) return whole;
  return {
    base: localPart.slice(0, position),
    extension: localPart.slice(position + 1),
    delimiter: localPart.charAt(position),
  };
}

/**
 * An address `local@domain` without the extension of its local part.
 * Returns undefined when there is no extension; else the shorter address and the extension with its delimiter in front.
 */
export function stripAddress(
  address: string,
  recipientDelimiter: string,
  options: SplitOptions = {},
): { stripped: string; extension: string } | undefined {
  const at = address.lastIndexOf('@');
  const localPart = at < 0 ? address : address.slice(0, at);
  const { base, extension, delimiter } = splitAddress(localPart, recipientDelimiter, options);
  if (extension === undefined) return undefined;
  return { stripped: base + (at < 0 ? '' : address.slice(at)), extension: delimiter + extension };
}

function delimiterPosition(localPart: string, delimiters: string): number {
  if (delimiters.length === 1) return localPart.indexOf(delimiters);
  for (let index = 0; index < localPart.length; index++) {
    if (delimiters.includes(localPart.charAt(index))) return index;
  }
  return -1;
}

function isReserved(localPart: string, delimiters: string, options: SplitOptions): boolean {
  const name = localPart.toLowerCase();
  if (name === 'mailer-daemon' || name === (options.doubleBounceSender ?? 'double-bounce').toLowerCase()) return true;
  if (options.ownerRequestSpecial === false || !delimiters.includes('-')) return false;
  return name.startsWith('owner-') || name.endsWith('-request');
}
