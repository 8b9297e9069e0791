/**
 * How a message is shown: its envelope as records, the content as it is, and what was found in its headers; the records
 * have the names of Postfix's queue file records.
 *
 * Pure but for the time zone of the process.
 */
import type { Client, Envelope, Recipient } from '../../lib/clients/protocols.ts';
import { headerNameEnd } from '../../lib/mail/headers.ts';
import { printable } from '../../lib/util/log.ts';

export interface ViewOptions {
  readonly envelope: boolean;
  readonly header: boolean;
  readonly body: boolean;
}

export interface MessageView {
  /** What the headings name: queue and id. */
  readonly name: string;
  readonly records: readonly string[];
  readonly content: AsyncIterable<Buffer> | Iterable<Buffer>;
  /** Records that come from the content. */
  readonly extracted: readonly string[];
}

/** The pieces to print, in order. */
export async function* showMessage(view: MessageView, options: ViewOptions): AsyncGenerator<string | Buffer> {
  const { name } = view;
  if (options.envelope) {
    yield text([`*** ENVELOPE RECORDS ${name} ***`, ...view.records, `*** MESSAGE CONTENTS ${name} ***`]);
  }
  if (options.header || options.body) yield* selected(view.content, options);
  if (options.envelope) {
    yield text([`*** HEADER EXTRACTED ${name} ***`, ...view.extracted, `*** MESSAGE FILE END ${name} ***`]);
  }
}

function text(lines: readonly string[]): string {
  return `${lines.map(printable).join('\n')}\n`;
}

const LF = 10;

/** The header lines, or what follows them, or both. Lines are looked at until the first that is no header. */
async function* selected(content: MessageView['content'], { header, body }: ViewOptions): AsyncGenerator<Buffer> {
  let inHeader = true;
  let first = true;
  let rest: Buffer = Buffer.alloc(0);
  let last = LF;
  for await (const piece of content) {
    if (!inHeader) {
      if (!body) return;
      last = piece.at(-1) ?? last;
      yield piece;
      continue;
    }
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const end = headerEnd(rest, first);
    inHeader = end.more;
    first &&= end.at === 0;
    if (header && end.at > 0) yield rest.subarray(0, end.at);
    rest = rest.subarray(end.at);
    if (inHeader) continue;
    if (!body) return;
    last = rest.at(-1) ?? last;
    yield rest;
    rest = Buffer.alloc(0);
  }
  if (inHeader && rest.length > 0) {
    const isHeader = isHeaderLine(rest, 0, rest.length, first);
    if (isHeader ? header : body) {
      last = rest.at(-1)!;
      yield rest;
    }
  }
  if (last !== LF) yield Buffer.from('\n');
}

/** How far the whole lines at hand are headers; `more`: as far as can be seen, all of them are. */
function headerEnd(bytes: Buffer, first: boolean): { at: number; more: boolean } {
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(LF, at);
    if (end < 0) return { at, more: true };
    if (!isHeaderLine(bytes, at, end + 1, first && at === 0)) return { at, more: false };
    at = end + 1;
  }
}

function isHeaderLine(bytes: Buffer, start: number, end: number, first: boolean): boolean {
  const folded = bytes[start] === 32 || bytes[start] === 9;
  return (folded && !first) || headerNameEnd(bytes, start, end) > start;
}

/** "Sun Nov 22 14:07:36 2026" */
function time(microseconds: number): string {
  const at = new Date(microseconds / 1000);
  const [day = '', month = '', date = '', year = ''] = at.toDateString().split(' ');
  return `${day} ${month} ${date.replace(/^0/, ' ')} ${at.toTimeString().slice(0, 8)} ${year}`;
}

/** The envelope in the order in which Postfix keeps it; what is empty is left out. */
export function envelopeRecords(envelope: Envelope): string[] {
  const { contentSize, recipients, arrivalTime } = envelope;
  const sizes = [contentSize, 0, recipients.length, 0, contentSize, envelope.smtputf8 ? 1 : 0];
  const records = [
    `message_size: ${sizes.map((size) => String(size).padStart(15)).join(' ')}`,
    `message_arrival_time: ${time(arrivalTime)}`,
    `create_time: ${time(arrivalTime)}`,
    ...attributes({
      log_ident: envelope.queueId,
      encoding: envelope.encoding,
      smtputf8: envelope.smtputf8 ? '1' : '',
      rewrite_context: envelope.rewriteContext,
      envelope_id: envelope.dsnEnvid,
      ret_flags: { FULL: '1', HDRS: '2' }[envelope.dsnRet] ?? '',
      trace_flags: envelope.traceFlags === 0 ? '' : String(envelope.traceFlags),
    }),
  ];
  if (envelope.filter !== '') records.push(`content_filter: ${envelope.filter}`);
  records.push(`sender: ${envelope.sender}`);
  if (envelope.verpDelimiters !== '') records.push(`verp_delimiters: ${envelope.verpDelimiters}`);
  if (envelope.client !== undefined) records.push(...clientRecords(envelope.client));
  return records.concat(...recipients.map(recipientRecords));
}

function attributes(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === '' ? [] : [`named_attribute: ${name}=${value}`]));
}

function clientRecords(client: Client): string[] {
  return attributes({
    client_name: client.name,
    reverse_client_name: client.reverseName,
    client_address: client.address,
    client_port: client.port === 0 ? '' : String(client.port),
    helo_name: client.heloName,
    protocol_name: client.protocolName,
    sasl_method: client.saslMethod,
    sasl_username: client.saslUsername,
    sasl_sender: client.saslSender,
  });
}

function recipientRecords(recipient: Recipient): string[] {
  const notify = recipient.dsnNotify === 0 ? '' : String(recipient.dsnNotify);
  return [
    ...attributes({ dsn_orig_rcpt: recipient.dsnOriginalRecipient, notify_flags: notify }),
    `original_recipient: ${recipient.originalAddress === '' ? recipient.address : recipient.originalAddress}`,
    `recipient: ${recipient.address}`,
  ];
}

/** What cleanup found in the headers. */
export function extractedRecords(envelope: Envelope): string[] {
  return attributes({ message_id: envelope.messageId });
}
