/**
 * MAIL and RCPT commands with their parameters: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and
 * ORCPT (RFC 3461). Each is used where the server offers it.
 *
 * Pure. No text of an envelope can end a command: what holds control characters or blanks where none may be is left out,
 * or makes the address undeliverable.
 */
import type { DeliveryRecipient, DeliveryRequest } from '../../lib/clients/protocols.ts';
import { quote821Local, quote822Local } from '../../lib/mail/quote822.ts';
import type { Features } from './session.ts';

const NOTIFY = [
  [1, 'NEVER'],
  [2, 'SUCCESS'],
  [4, 'FAILURE'],
  [8, 'DELAY'],
] as const;

export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

/** Can the text stand in a command at all? */
export function isSendable(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 32 || code === 127) return false;
  }
  return true;
}

function isWord(text: string): boolean {
  return text !== '' && !text.includes(' ') && isSendable(text);
}

/** xtext (RFC 3461 section 4): `+`, `=` and all that is not printable ASCII as `+XX`. */
export function xtext(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte > 32 && byte < 127 && byte !== 43 && byte !== 61;
    out += plain ? String.fromCharCode(byte) : `+${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export interface CommandOptions {
  readonly features: Features;
  /** smtp_quote_rfc821_envelope */
  readonly quote: boolean;
}

function envelopeAddress(address: string, quote: boolean): string {
  return quote && address !== '' ? quote821Local(address) : address;
}

/** The MAIL command with its line end. `size` is that of the content as it is sent, or an estimate of it. */
export function mailCommand(request: DeliveryRequest, size: number, { features, quote }: CommandOptions): string {
  let command = `MAIL FROM:<${envelopeAddress(request.sender, quote)}>`;
  if (features.size) command += ` SIZE=${size}`;
  if (features.eightBitMime) {
    if (request.encoding === '8bit') command += ' BODY=8BITMIME';
    else if (request.encoding === '7bit') command += ' BODY=7BIT';
  }
  if (features.smtputf8 && request.smtputf8) command += ' SMTPUTF8';
  if (features.dsn) {
    if (request.dsnRet === 'FULL' || request.dsnRet === 'HDRS') command += ` RET=${request.dsnRet}`;
    if (isWord(request.dsnEnvid)) command += ` ENVID=${request.dsnEnvid}`;
  }
  return `${command}\r\n`;
}

/** The RCPT command with its line end. `address` is what the server is to know the recipient as. */
export function rcptCommand(
  recipient: DeliveryRecipient,
  { features, quote }: CommandOptions,
  address = recipient.address,
): string {
  let command = `RCPT TO:<${envelopeAddress(address, quote)}>`;
  if (features.dsn) {
    if (recipient.dsnNotify !== 0) {
      const words = NOTIFY.filter(([bit]) => (recipient.dsnNotify & bit) !== 0).map(([, word]) => word);
      command += ` NOTIFY=${words.join(',')}`;
    }
    const original = originalRecipient(recipient);
    if (original !== '') command += ` ORCPT=${original}`;
  }
  return `${command}\r\n`;
}

function originalRecipient(recipient: DeliveryRecipient): string {
  if (isWord(recipient.dsnOriginalRecipient)) return recipient.dsnOriginalRecipient;
  const original = recipient.originalAddress === '' ? recipient.address : recipient.originalAddress;
  if (!isAscii(original)) return '';
  return `rfc822;${xtext(quote822Local(original))}`;
}
