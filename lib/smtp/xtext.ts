/**
 * xtext (RFC 3461 section 4): printable ASCII in which `+HH` stands for any other byte.
 *
 * Pure. Decoded text carries bytes as lib/util/byte-text.ts says.
 */
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';

const PLUS = 43;
const EQUALS = 61;

/** The decoded text; undefined where the encoding is wrong. */
export function decodeXtext(text: string): string | undefined {
  if (!text.includes('+')) return text;
  const bytes = Buffer.alloc(encodeBytes(text).length);
  const raw = encodeBytes(text);
  let length = 0;
  for (let at = 0; at < raw.length; at++) {
    if (raw[at] !== PLUS) {
      bytes[length++] = raw[at]!;
      continue;
    }
    const high = hexDigit(raw[at + 1]);
    const low = hexDigit(raw[at + 2]);
    if (high < 0 || low < 0) return undefined;
    bytes[length++] = high * 16 + low;
    at += 2;
  }
  return decodeBytes(bytes.subarray(0, length));
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 65 && code <= 70) return code - 55;
  return code >= 97 && code <= 102 ? code - 87 : -1;
}

/** The text in xtext. */
export function encodeXtext(text: string): string {
  let encoded = '';
  for (const byte of encodeBytes(text)) {
    if (byte > 32 && byte < 127 && byte !== PLUS && byte !== EQUALS) encoded += String.fromCharCode(byte);
    else encoded += `+${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
