/**
 * What EHLO announces: the lines after the first, less the keywords of smtpd_discard_ehlo_keywords. The text is made once.
 */
import type { SmtpdSettings } from './settings.ts';

/** Keywords that can be discarded, by the name that smtpd_discard_ehlo_keywords has for them. */
const KEYWORDS = [
  'pipelining',
  'size',
  'vrfy',
  'etrn',
  'starttls',
  'auth',
  'xclient',
  'xforward',
  'enhancedstatuscodes',
  '8bitmime',
  'dsn',
  'smtputf8',
  'chunking',
] as const;

export type EhloKeyword = (typeof KEYWORDS)[number];

/** The keywords in a list, and whether `silent-discard` asks not to log them. Unknown ones are told to `warn`. */
export function parseDiscard(text: string, warn: (text: string) => void): { discard: Set<string>; silent: boolean } {
  const discard = new Set<string>();
  let silent = false;
  for (const item of text.toLowerCase().split(/[ \t,]+/)) {
    if (item === '') continue;
    if (item === 'silent-discard') silent = true;
    else if ((KEYWORDS as readonly string[]).includes(item)) discard.add(item);
    else warn(`unknown EHLO keyword "${item}" in smtpd_discard_ehlo_keywords`);
  }
  return { discard, silent };
}

export interface EhloOffer {
  readonly xclient: boolean;
  readonly xforward: boolean;
}

/** The whole reply to EHLO: "250-host\r\n250-PIPELINING\r\n…250 CHUNKING\r\n". */
export function ehloReply(settings: SmtpdSettings, discard: ReadonlySet<string>, offer: EhloOffer): string {
  const lines = [settings.myhostname];
  const add = (keyword: EhloKeyword, line = keyword.toUpperCase()): void => {
    if (!discard.has(keyword)) lines.push(line);
  };
  add('pipelining');
  add('size', settings.messageSizeLimit > 0 ? `SIZE ${settings.messageSizeLimit}` : 'SIZE');
  if (!settings.disableVrfy) add('vrfy');
  add('etrn');
  if (offer.xclient) add('xclient', 'XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT');
  if (offer.xforward) add('xforward', 'XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT');
  add('enhancedstatuscodes');
  add('8bitmime');
  add('dsn');
  if (settings.smtputf8) add('smtputf8');
  add('chunking');
  const last = lines.length - 1;
  return lines.map((line, at) => `250${at < last ? '-' : ' '}${line}\r\n`).join('');
}
