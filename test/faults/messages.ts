/** The messages of a run: ids, recipients of every fate, sizes. And how a copy or a notice tells which one it was. */
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

export function makeMessages(prefix: string, count: number, domains: number, random: Random): Message[] {
  return Array.from({ length: count }, (_, at) => {
    const id = `${prefix}${String(at).padStart(6, '0')}`;
    const domain = (): string => sinkDomain(random.below(domains));
    const fate = random.next();
    const recipients =
      fate < 0.62
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

const LINE = `${'ledger '.repeat(10)}\r\n`;

/** The message as it is sent, without the final dot. */
export function contentOf({ id, sender, recipients, size }: Message): string {
  const body = LINE.repeat(Math.ceil(size / LINE.length));
  return `From: <${sender}>\r\nTo: ${recipients.map((recipient) => `<${recipient}>`).join(', ')}\r\nSubject: ledger ${id}\r\nX-Ledger-Id: ${id}\r\nMessage-Id: <${id}@client.test>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nid ${id}\r\n${body}`;
}

/** Where and when a text arrived. */
export interface Arrival {
  /** As latin1, headers first. */
  readonly content: string;
  readonly recipients: readonly string[];
  readonly began: number;
  readonly ended: number;
}

/** The id that an address was made from. */
export const idOf = (address: string): string => /^[a-z]+-([^@]+)@/.exec(address)?.[1] ?? '';

const queueIdOf = (content: string): string => /^Received:[\s\S]*?\sid ([^\s;]+)/m.exec(content)?.[1] ?? '';

/** What arrived: copies of one of our messages, or a notice about some. */
export function read(arrival: Arrival): { copies: Copy[]; notices: Notice[] } {
  const { content, recipients, began, ended } = arrival;
  const queueId = queueIdOf(content);
  const about = /^X-Postfix-Queue-ID: (\S+)/im.exec(content)?.[1];
  if (about !== undefined) {
    const failed = [...content.matchAll(/^Final-Recipient: rfc822; ?(\S+)/gim)].map((match) => match[1]!);
    const notices = failed.map((recipient) => ({ id: idOf(recipient), recipient, queueId, about, began, ended }));
    return { copies: [], notices };
  }
  const id = /^X-Ledger-Id: (\S+)/m.exec(content)?.[1] ?? '';
  return { copies: recipients.map((recipient) => ({ id, recipient, queueId, began, ended })), notices: [] };
}
