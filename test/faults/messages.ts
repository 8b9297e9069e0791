/**
 * The messages of a run: ids, recipients of every fate, sizes. And how a copy or a notice tells which one it was, and whether it
 * is whole: the first header that a client sends names the size and the hash of all that follows it.
 */
import { createHash } from 'node:crypto';
import { BOX_DOMAIN, SENDER_DOMAIN, sinkDomain } from './configuration.ts';
import type { Copy, Notice } from './ledger.ts';
import type { Random } from './random.ts';

export interface Message {
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Octets of the body. */
  readonly size: number;
}

/** Larger than what one frame of the log holds inline. */
const LARGE = 300 * 1024;

/**
 * `further`: beginnings of names and domains of other recipients, such as `['ok', 'local.test']`; each gets a twentieth of the
 * messages.
 */
export function makeMessages(
  prefix: string,
  count: number,
  domains: number,
  random: Random,
  further: readonly (readonly ['ok' | 'no', string])[] = [],
): Message[] {
  return Array.from({ length: count }, (_, at) => {
    const id = `${prefix}${String(at).padStart(6, '0')}`;
    const domain = (): string => sinkDomain(random.below(domains));
    const other = further[Math.floor(random.next() * 20)];
    const fate = random.next();
    const recipients = other
      ? [`${other[0]}-${id}@${other[1]}`]
      : fate < 0.62
        ? [`ok-${id}@${domain()}`]
        : fate < 0.76
          ? [`ok-${id}@${BOX_DOMAIN}`]
          : fate < 0.84
            ? [`no-${id}@${domain()}`]
            : fate < 0.9
              ? [`later-${id}@${domain()}`]
              : fate < 0.95
                ? [`ok-${id}@${BOX_DOMAIN}`, `no-${id}@${domain()}`, `ok-${id}@${sinkDomain(0)}`]
                : [`ok-${id}@${sinkDomain(1)}`, `later-${id}@${sinkDomain(2)}`, `also-${id}@${sinkDomain(1)}`];
    return {
      id,
      sender: random.chance(0.6) ? `s-${id}@${SENDER_DOMAIN}` : `s-${id}@${domain()}`,
      recipients,
      size: random.chance(0.005) ? LARGE : 200 + random.below(4000),
    };
  });
}

/** The octets of a text and their hash, as `X-Ledger-Content` has them. */
export const fingerprintOf = (text: string): string =>
  `${text.length} ${createHash('sha256').update(text, 'latin1').digest('hex')}`;

/** The message as it is sent, without the final dot. Every line of the body has the id. */
export function contentOf({ id, sender, recipients, size }: Message): string {
  const line = `${`ledger ${id} `.repeat(5)}\r\n`;
  const body = line.repeat(Math.ceil(size / line.length));
  const text = `From: <${sender}>\r\nTo: ${recipients.map((recipient) => `<${recipient}>`).join(', ')}\r\nSubject: ledger ${id}\r\nX-Ledger-Id: ${id}\r\nMessage-Id: <${id}@client.test>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n${body}`;
  return `X-Ledger-Content: ${fingerprintOf(text)}\r\n${text}`;
}

/**
 * Whether what a client sent is in it to the last octet. `content` as latin1, with whatever was put in front; its lines may
 * end as those of a mailbox do.
 */
export function isWhole(content: string): boolean {
  const described = /^X-Ledger-Content: (\d+ [0-9a-f]+)\r?\n/m.exec(content);
  if (described === null) return false;
  const text = content.slice(described.index + described[0].length).replace(/\r?\n/g, '\r\n');
  return fingerprintOf(text) === described[1];
}

/** The id of the message that a content says it is. */
export const ledgerIdOf = (content: string): string => /^X-Ledger-Id: (\S+)/m.exec(content)?.[1] ?? '';

/** Where and when a text arrived. */
export interface Arrival {
  /** As latin1, headers first. */
  readonly content: string;
  readonly recipients: readonly string[];
  readonly began: number;
  readonly ended: number;
  /** Whether it is whole, where `content` is no more than its headers. */
  readonly isWhole?: boolean;
}

/** The id that an address was made from. */
export const idOf = (address: string): string => /^[a-z]+-([^@]+)@/.exec(address)?.[1] ?? '';

const queueIdOf = (content: string): string => /^Received:[\s\S]*?\sid ([^\s;]+)/m.exec(content)?.[1] ?? '';

/**
 * Whether a notice returns the message that it is about: all of it, or its headers where it is too large
 * (bounce_size_limit).
 */
function returnsMessage(content: string, id: string): boolean {
  const returned = /^Content-Type: (message|text)\/rfc822(?:-headers)?/im.exec(content);
  if (returned === null) return false;
  const part = content.slice(returned.index).replace(/\r?\n/g, '\r\n');
  if (ledgerIdOf(part) !== id) return false;
  return returned[1]!.toLowerCase() === 'text' || isWhole(part.slice(0, part.lastIndexOf('\r\n--')));
}

/** What arrived: copies of one of our messages, or a notice about some. */
export function read(arrival: Arrival): { copies: Copy[]; notices: Notice[] } {
  const { content, recipients, began, ended } = arrival;
  const queueId = queueIdOf(content);
  const about = /^X-Postfix-Queue-ID: (\S+)/im.exec(content)?.[1];
  if (about !== undefined) {
    const failed = [...content.matchAll(/^Final-Recipient: rfc822; ?(\S+)/gim)].map((match) => match[1]!);
    const notices = failed.map((recipient): Notice => {
      const id = idOf(recipient);
      return { id, recipient, queueId, about, began, ended, isWhole: returnsMessage(content, id) };
    });
    return { copies: [], notices };
  }
  const copy = { id: ledgerIdOf(content), queueId, began, ended, isWhole: arrival.isWhole ?? isWhole(content) };
  return { copies: recipients.map((recipient) => ({ ...copy, recipient })), notices: [] };
}
