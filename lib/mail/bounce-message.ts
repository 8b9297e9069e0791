/**
 * The text of a delivery status notification: a multipart/report (RFC 6522) with an explanation, a message/delivery-status
 * (RFC 3464) and the original message or its headers. For internationalised mail the global variants of RFC 6533 are
 * used. Field names and layout are Postfix's, which bounce parsers know.
 *
 * Message-ID:, Date: and Received: are cleanup's to add.
 *
 * Pure. Whatever comes from remote parties is cut free of control characters, so that it begins no line of its own.
 */
import { type BounceTemplate, isAscii } from './bounce-template.ts';
import { mailDate } from './date.ts';
import { scanHeaders } from './headers.ts';
import { quote822Local } from './quote822.ts';

/** What became of one recipient. Addresses in internal form; empty where unknown. */
export interface ReportedRecipient {
  readonly address: string;
  /** As received, before rewriting. */
  readonly originalAddress: string;
  /** ORCPT, decoded: `rfc822;user@example.org`. */
  readonly dsnOriginalRecipient: string;
  readonly status: string;
  readonly action: string;
  readonly reason: string;
  /** "smtp", "x-unix"; empty: the reason is ours. */
  readonly diagnosticType: string;
  readonly diagnosticText: string;
  /** "dns; mx.example.org" */
  readonly remoteMta: string;
}

/** What the report says of the message as a whole. */
export interface ReportedMessage {
  readonly queueId: string;
  /** In internal form, and never empty: empty_address_recipient stands for the null sender. */
  readonly sender: string;
  /** Milliseconds since 1970. */
  readonly arrivalTime: number;
  /** ENVID, decoded; empty where it was not given. */
  readonly envelopeId: string;
  /** The message needs SMTPUTF8, and so does a report of it. */
  readonly smtputf8: boolean;
  /** Message-ID: to be named in References: and In-Reply-To:; empty for none. */
  readonly threadWith: string;
  /** For delays, milliseconds since 1970. */
  readonly willRetryUntil?: number;
}

/** What is attached of the original; undefined where nothing could be read. */
export interface AttachedOriginal {
  readonly kind: 'message' | 'headers';
  /** The content, or the beginning of it that holds all headers wanted; line ends are LF. */
  readonly content: Buffer;
}

export interface BounceMessage {
  readonly template: BounceTemplate;
  /** Lines of the template with names expanded; a copy for the postmaster has none. */
  readonly introduction: readonly string[];
  readonly postmasterCopy: boolean;
  /** Recipient of the notice, in internal form. */
  readonly to: string;
  readonly myhostname: string;
  readonly mailName: string;
  /** Tells apart the boundaries of several notices of one message. */
  readonly boundaryTag: string;
  readonly message: ReportedMessage;
  readonly recipients: readonly ReportedRecipient[];
  readonly original: AttachedOriginal | undefined;
}

export interface ComposedBounce {
  readonly content: Buffer;
  /** What the envelope must say. */
  readonly encoding: '7bit' | '8bit';
}

const LINE_LENGTH = 79;
const INDENT = '    ';

/** The whole message. */
export function composeBounce(notice: BounceMessage): ComposedBounce {
  const { message, template } = notice;
  const boundary = `${message.queueId}.${notice.boundaryTag}/${notice.myhostname}`;
  const parts = [notification(notice), deliveryReport(notice)];
  if (notice.original !== undefined) parts.push(attachment(notice, notice.original));

  const encoding = parts.some((part) => part.eightBit) ? '8bit' : '7bit';
  const thread =
    message.threadWith === '' ? [] : [`References: ${message.threadWith}`, `In-Reply-To: ${message.threadWith}`];
  const reportType = message.smtputf8 ? 'global-delivery-status' : 'delivery-status';
  const header = lines(
    `From: ${template.from}`,
    `Subject: ${notice.postmasterCopy ? (template.postmasterSubject ?? template.subject) : template.subject}`,
    `To: ${external(notice.to)}`,
    ...thread.map(harmless),
    `Auto-Submitted: ${notice.postmasterCopy ? 'auto-generated' : 'auto-replied'}`,
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=${reportType};`,
    `\tboundary="${boundary}"`,
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    'This is a MIME-encapsulated message.',
    '',
  );
  const body = parts.flatMap((part) => [lines(`--${boundary}`, ...part.header), ...part.content, lines('')]);
  return { content: Buffer.concat([header, ...body, lines(`--${boundary}--`)]), encoding };
}

interface Part {
  readonly header: readonly string[];
  readonly content: readonly Buffer[];
  readonly eightBit: boolean;
}

function part(description: string, type: string, content: readonly Buffer[]): Part {
  const eightBit = content.some(hasHighBit);
  const header = [`Content-Description: ${description}`, `Content-Type: ${type}`];
  if (eightBit) header.push('Content-Transfer-Encoding: 8bit');
  return { header: [...header, ''], content, eightBit };
}

/** The part that people read. */
function notification(notice: BounceMessage): Part {
  const { template, message } = notice;
  const paragraphs = notice.recipients.flatMap((recipient) => ['', ...wrap(explanation(recipient))]);
  const text = lines(...notice.introduction, ...paragraphs);
  const plain = template.charset.toLowerCase() === 'us-ascii';
  const charset = plain && (message.smtputf8 || hasHighBit(text)) ? 'utf-8' : template.charset;
  return part('Notification', `text/plain; charset=${charset}`, [text]);
}

function explanation({ address, originalAddress, reason }: ReportedRecipient): string {
  const changed = originalAddress !== '' && originalAddress.toLowerCase() !== address.toLowerCase();
  const from = changed ? ` (expanded from <${external(originalAddress)}>)` : '';
  return `<${external(address)}>${from}: ${reason}`;
}

/** The part that programs read. */
function deliveryReport(notice: BounceMessage): Part {
  const { message, mailName } = notice;
  const fields = [`Reporting-MTA: dns; ${notice.myhostname}`];
  if (message.envelopeId !== '') fields.push(`Original-Envelope-Id: ${message.envelopeId}`);
  fields.push(
    `X-${mailName}-Queue-ID: ${message.queueId}`,
    `X-${mailName}-Sender: ${typedAddress(message.sender, message)}`,
    `Arrival-Date: ${mailDate(message.arrivalTime)}`,
  );
  const groups = notice.recipients.flatMap((recipient) => ['', ...recipientFields(notice, recipient)]);
  const type = message.smtputf8 ? 'message/global-delivery-status' : 'message/delivery-status';
  return part('Delivery report', type, [lines(...fields.map(harmless), ...groups)]);
}

function recipientFields(notice: BounceMessage, recipient: ReportedRecipient): string[] {
  const { message, template, mailName } = notice;
  const fields = [`Final-Recipient: ${typedAddress(recipient.address, message)}`];
  if (recipient.dsnOriginalRecipient !== '') fields.push(`Original-Recipient: ${recipient.dsnOriginalRecipient}`);
  else if (recipient.originalAddress !== '') {
    fields.push(`Original-Recipient: ${typedAddress(recipient.originalAddress, message)}`);
  }
  // A recipient that has expired keeps the status of its last attempt, but it has failed.
  fields.push(`Action: ${template.name === 'failure' ? 'failed' : recipient.action}`, `Status: ${recipient.status}`);
  if (recipient.remoteMta !== '') fields.push(...wrap(`Remote-MTA: ${recipient.remoteMta}`));
  const { diagnosticType, diagnosticText } = recipient;
  const diagnostic =
    diagnosticType !== '' && diagnosticText !== ''
      ? `${diagnosticType}; ${diagnosticText}`
      : `X-${mailName}; ${recipient.reason}`;
  fields.push(...wrap(`Diagnostic-Code: ${diagnostic}`));
  if (message.willRetryUntil !== undefined) fields.push(`Will-Retry-Until: ${mailDate(message.willRetryUntil)}`);
  return fields.map(harmless);
}

/** RFC 6533: an address with characters beyond ASCII has the type utf-8. */
function typedAddress(address: string, message: ReportedMessage): string {
  return `${message.smtputf8 && !isAscii(address) ? 'utf-8' : 'rfc822'}; ${external(address)}`;
}

function attachment(notice: BounceMessage, original: AttachedOriginal): Part {
  const { message, template } = notice;
  const undelivered = template.name === 'failure' || template.name === 'delay' ? 'Undelivered ' : '';
  const returnPath = lines(`Return-Path: <${external(message.sender)}>`);
  if (original.kind === 'message') {
    const type = message.smtputf8 ? 'message/global' : 'message/rfc822';
    return part(`${undelivered}Message`, type, [returnPath, terminated(original.content)]);
  }
  const type = message.smtputf8 ? 'message/global-headers' : 'text/rfc822-headers';
  return part(`${undelivered}Message Headers`, type, [returnPath, headersOf(original.content)]);
}

function headersOf(content: Buffer): Buffer {
  const last = scanHeaders(content).headers.at(-1);
  return last === undefined ? Buffer.alloc(0) : terminated(content.subarray(0, last.end));
}

function terminated(content: Buffer): Buffer {
  return content.length === 0 || content.at(-1) === 10 ? content : Buffer.concat([content, Buffer.from('\n')]);
}

function external(address: string): string {
  return harmless(quote822Local(address));
}

/** Control characters, line ends before all, become `?`; a tab that folds a line stays. */
function harmless(text: string): string {
  return text.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, '?');
}

function lines(...texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\n`).join(''), 'utf8');
}

function hasHighBit(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at]! > 127) return true;
  return false;
}

/** Breaks a text at blanks; lines after the first are indented. A word that is longer than a line stays whole. */
export function wrap(text: string): string[] {
  const wrapped: string[] = [];
  let rest = harmless(text);
  let indent = '';
  while (rest.length > LINE_LENGTH - indent.length) {
    const room = LINE_LENGTH - indent.length;
    let blank = rest.lastIndexOf(' ', room);
    if (blank <= 0) blank = rest.indexOf(' ', room);
    if (blank < 0) break;
    wrapped.push(indent + rest.slice(0, blank).trimEnd());
    rest = rest.slice(blank + 1).trimStart();
    indent = INDENT;
  }
  if (rest !== '') wrapped.push(indent + rest);
  return wrapped;
}
