/**
 * The header block of a message on its way in: Received: in front, headers that must not pass dropped, those that are
 * missing added (RFC 5322 section 3.6, for mail that originates here), hops counted, the Message-ID found. The body, and
 * every header that stays, keep their bytes.
 *
 * Pure but for the clock. One pass over the header block; the only copy is that of what is put together in the end.
 */
import type { Client, Envelope } from '../../lib/clients/protocols.ts';
import { mailDate } from '../../lib/mail/date.ts';
import { type HeaderBlock, type HeaderSpan, headerValue } from '../../lib/mail/headers.ts';
import { protocolName, receivedHeader } from '../../lib/mail/received.ts';
import type { CleanupSettings } from './settings.ts';

const LF = 10;
const COLON = 58;
const DESTINATIONS: ReadonlySet<string> = new Set([
  'to',
  'cc',
  'bcc',
  'resent-to',
  'resent-cc',
  'resent-bcc',
  'apparently-to',
]);
/** With one of these the message is sent on: what is missing is added under a Resent- name. */
const RESENT: ReadonlySet<string> = new Set([
  'resent-bcc',
  'resent-cc',
  'resent-date',
  'resent-from',
  'resent-message-id',
  'resent-reply-to',
  'resent-sender',
  'resent-to',
]);
/** Octets of a Message-ID that the log shows. */
const MESSAGE_ID_LIMIT = 998;

export interface ShapedHeaders {
  /** The pieces of the message up to and with the empty line, in order. */
  readonly pieces: readonly Buffer[];
  /** Where the body begins in the bytes that were scanned. */
  readonly bodyStart: number;
  readonly messageId: string | undefined;
  readonly resentMessageId: string | undefined;
  readonly hops: number;
}

function receivedFor(envelope: Envelope, settings: CleanupSettings): string {
  const client: Client | undefined = envelope.client;
  const remote = client !== undefined && client.protocolName !== '';
  const common = {
    myhostname: settings.myhostname,
    mailName: settings.mailName,
    queueId: envelope.queueId,
    date: mailDate(envelope.arrivalTime / 1000),
  };
  if (!remote) return receivedHeader(envelope.senderLogin === '' ? common : { ...common, userId: envelope.senderUid });
  const from = {
    ...common,
    client: {
      helo: client.heloName,
      name: client.reverseName === '' ? client.name : client.reverseName,
      address: client.address.includes(':') ? `IPv6:${client.address}` : client.address,
    },
    protocol: protocolName({
      esmtp: client.protocolName !== 'SMTP',
      tls: client.tlsProtocol !== '',
      sasl: client.saslUsername !== '',
      smtputf8: envelope.smtputf8,
    }),
  };
  const only = envelope.recipients.length === 1 ? envelope.recipients[0] : undefined;
  if (only === undefined) return receivedHeader(from);
  return receivedHeader({ ...from, recipient: only.originalAddress === '' ? only.address : only.originalAddress });
}

/** The headers that RFC 5322 wants and that the message lacks. */
function missingHeaders(
  names: ReadonlySet<string>,
  resent: '' | 'Resent-',
  from: string,
  envelope: Envelope,
  settings: CleanupSettings,
): string[] {
  const added: string[] = [];
  const lacks = (name: string): boolean => !names.has(`${resent}${name}`.toLowerCase());
  if (lacks('Message-Id')) {
    const stamp = new Date(envelope.arrivalTime / 1000).toISOString().replace(/\D/g, '').slice(0, 14);
    added.push(`${resent}Message-Id: <${stamp}.${envelope.queueId}@${settings.myhostname}>`);
  }
  if (lacks('Date')) added.push(`${resent}Date: ${mailDate(envelope.arrivalTime / 1000)}`);
  if (lacks('From')) added.push(`${resent}From: ${from}`);
  if (settings.undisclosedRecipientsHeader !== '' && ![...names].some((name) => DESTINATIONS.has(name))) {
    added.push(settings.undisclosedRecipientsHeader);
  }
  return added;
}

/** What stands in front of everything. */
export function receivedLine(envelope: Envelope, settings: CleanupSettings): Buffer {
  return Buffer.from(`${receivedFor(envelope, settings)}\n`, 'utf8');
}

function isMissingAdded(envelope: Envelope, settings: CleanupSettings): boolean {
  return envelope.rewriteContext === 'local' || settings.rewritesRemoteHeaders || settings.alwaysAddMissingHeaders;
}

/** Whether a sender is to be added. */
export function lacksFrom(block: HeaderBlock, envelope: Envelope, settings: CleanupSettings): boolean {
  if (!isMissingAdded(envelope, settings)) return false;
  const name = block.headers.some((header) => RESENT.has(header.name)) ? 'resent-from' : 'from';
  return settings.dropHeaders.has(name) || !block.headers.some((header) => header.name === name);
}

/** The text of a Message-ID, as the log shows it. */
function idText(content: Buffer, header: HeaderSpan): string {
  return headerValue(content, header).trim().slice(0, MESSAGE_ID_LIMIT);
}

/**
 * Shapes the header block at the head of `content`, which ends somewhere in the body or is the whole message. `replaced`:
 * whole headers that stand for others, by the position of those. `from`: the text of From:, where that is to be added.
 */
export function shapeHeaders(
  content: Buffer,
  block: HeaderBlock,
  replaced: ReadonlyMap<number, Buffer>,
  from: string,
  envelope: Envelope,
  settings: CleanupSettings,
): ShapedHeaders {
  const pieces: Buffer[] = [];
  const names = new Set<string>();
  let resent: '' | 'Resent-' = '';
  let messageId: string | undefined;
  let resentMessageId: string | undefined;
  let hops = 0;
  // [kept, position): bytes that stay, in one piece.
  let kept = 0;
  const leaveOut = (start: number, end: number): void => {
    if (start > kept) pieces.push(content.subarray(kept, start));
    kept = end;
  };
  for (const header of block.headers) {
    if (header.name === 'received') hops++;
    if (header.name === 'message-id') messageId ??= idText(content, header);
    if (RESENT.has(header.name)) {
      resent = 'Resent-';
      if (header.name === 'resent-message-id') resentMessageId ??= idText(content, header);
    }
    if (settings.dropHeaders.has(header.name)) {
      leaveOut(header.start, content.indexOf(LF, header.end) + 1 || content.length);
      continue;
    }
    names.add(header.name);
    const other = replaced.get(header.start);
    if (other !== undefined) {
      leaveOut(header.start, header.end);
      pieces.push(other);
    } else if (content[header.nameEnd] !== COLON) {
      // The blanks between a name and its colon.
      leaveOut(header.nameEnd, header.valueStart - 1);
    }
  }
  const headersEnd = block.terminated ? content.lastIndexOf(LF, block.bodyStart - 1) : block.bodyStart;
  if (headersEnd > kept) pieces.push(content.subarray(kept, headersEnd));

  const added = isMissingAdded(envelope, settings) ? missingHeaders(names, resent, from, envelope, settings) : [];
  const addedId = /^(Resent-)?Message-Id: (.*)$/.exec(added[0] ?? '');
  if (addedId !== null && addedId[1] === undefined) messageId = addedId[2]!;
  if (addedId !== null && addedId[1] !== undefined) resentMessageId = addedId[2]!;
  const tail = pieces.at(-1);
  const open = tail !== undefined && tail[tail.length - 1] !== LF ? '\n' : '';
  // A message that ends within its headers has no empty line behind them either.
  const separator = block.terminated || block.bodyStart < content.length ? '\n' : '';
  pieces.push(Buffer.from(`${open}${added.map((line) => `${line}\n`).join('')}${separator}`, 'utf8'));
  return { pieces, bodyStart: block.bodyStart, messageId, resentMessageId, hops };
}
