/**
 * The header block of a message on its way in: Received: in front, headers that must not pass dropped, those that are
 * missing added (RFC 5322 section 3.6, for mail that originates here), hops counted, the Message-ID found. The body, and
 * every header that stays, keep their bytes.
 *
 * Pure but for the clock. One pass over the header block; the only copy is that of what is put together in the end.
 */
import type { Client, Envelope } from '../../lib/clients/protocols.ts';
import { mailDate } from '../../lib/mail/date.ts';
import { type HeaderBlock, headerValue } from '../../lib/mail/headers.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
import { protocolName, receivedHeader } from '../../lib/mail/received.ts';
import type { CleanupSettings } from './settings.ts';

const LF = 10;
const DESTINATIONS: ReadonlySet<string> = new Set([
  'to',
  'cc',
  'bcc',
  'resent-to',
  'resent-cc',
  'resent-bcc',
  'apparently-to',
]);
/** Octets of a Message-ID that the log shows. */
const MESSAGE_ID_LIMIT = 998;

export interface ShapedHeaders {
  /** The pieces of the message up to and with the empty line, in order. */
  readonly pieces: readonly Buffer[];
  /** Where the body begins in the bytes that were scanned. */
  readonly bodyStart: number;
  readonly messageId: string;
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
function missingHeaders(names: ReadonlySet<string>, envelope: Envelope, settings: CleanupSettings): string[] {
  const added: string[] = [];
  const resent = [...names].some((name) => name.startsWith('resent-')) ? 'Resent-' : '';
  const lacks = (name: string): boolean => !names.has(`${resent}${name}`.toLowerCase());
  if (lacks('Message-Id')) {
    const stamp = new Date(envelope.arrivalTime / 1000).toISOString().replace(/\D/g, '').slice(0, 14);
    added.push(`${resent}Message-Id: <${stamp}.${envelope.queueId}@${settings.myhostname}>`);
  }
  if (lacks('Date')) added.push(`${resent}Date: ${mailDate(envelope.arrivalTime / 1000)}`);
  if (lacks('From')) {
    const from = envelope.sender === '' ? `MAILER-DAEMON@${settings.myorigin}` : quote822Local(envelope.sender);
    added.push(`${resent}From: ${from}`);
  }
  if (settings.undisclosedRecipientsHeader !== '' && ![...names].some((name) => DESTINATIONS.has(name))) {
    added.push(settings.undisclosedRecipientsHeader);
  }
  return added;
}

/** What stands in front of everything. */
export function receivedLine(envelope: Envelope, settings: CleanupSettings): Buffer {
  return Buffer.from(`${receivedFor(envelope, settings)}\n`, 'utf8');
}

/**
 * Shapes the header block at the head of `content`, which ends somewhere in the body or is the whole message. `replaced`:
 * whole headers that stand for others, by the position of those.
 */
export function shapeHeaders(
  content: Buffer,
  block: HeaderBlock,
  replaced: ReadonlyMap<number, Buffer>,
  envelope: Envelope,
  settings: CleanupSettings,
): ShapedHeaders {
  const pieces: Buffer[] = [];
  const names = new Set<string>();
  let messageId = '';
  let hops = 0;
  // [from, position): bytes that stay, in one piece.
  let from = 0;
  const leaveOut = (start: number, end: number): void => {
    if (start > from) pieces.push(content.subarray(from, start));
    from = end;
  };
  for (const header of block.headers) {
    if (header.name === 'received') hops++;
    if (header.name === 'message-id' && messageId === '')
      messageId = headerValue(content, header).trim().slice(0, MESSAGE_ID_LIMIT);
    if (settings.dropHeaders.has(header.name)) {
      leaveOut(header.start, content.indexOf(LF, header.end) + 1 || content.length);
      continue;
    }
    names.add(header.name);
    const other = replaced.get(header.start);
    if (other === undefined) continue;
    leaveOut(header.start, header.end);
    pieces.push(other);
  }
  const headersEnd = block.terminated ? content.lastIndexOf(LF, block.bodyStart - 1) : block.bodyStart;
  if (headersEnd > from) pieces.push(content.subarray(from, headersEnd));

  const added =
    envelope.rewriteContext === 'local' || settings.alwaysAddMissingHeaders
      ? missingHeaders(names, envelope, settings)
      : [];
  if (messageId === '') messageId = /^(?:Resent-)?Message-Id: (.*)$/.exec(added[0] ?? '')?.[1] ?? '';
  const tail = pieces.at(-1);
  const open = tail !== undefined && tail[tail.length - 1] !== LF ? '\n' : '';
  pieces.push(Buffer.from(`${open}${added.map((line) => `${line}\n`).join('')}\n`, 'utf8'));
  return { pieces, bodyStart: block.bodyStart, messageId, hops };
}
