/**
 * What can go wrong between the client and a server, in the words that Postfix logs and reports.
 *
 * Pure.
 */
import type { Dsn } from '../../lib/mail/dsn.ts';
import { enhancedStatusLength, withStatusClass } from '../../lib/mail/enhanced-status.ts';
import type { Breakdown, ConnectFailure } from '../../lib/smtp/client-connection.ts';
import { type Reply, replyOnOneLine } from '../../lib/smtp/client-reply.ts';

/** A server, as it is named in logs. */
export interface Peer {
  readonly name: string;
  /** Numerical address, or the path of a UNIX-domain socket. */
  readonly address: string;
  /** 0 for a UNIX-domain socket. */
  readonly port: number;
}

export class Trouble {
  readonly dsn: Dsn;
  /** The server as a whole does not work, whatever message it would be: qmgr lowers the concurrency. */
  readonly site: boolean;
  /** STARTTLS was agreed upon and then failed: the same server may work without. */
  readonly tlsFailed: boolean;

  constructor(dsn: Dsn, site: boolean, tlsFailed = false) {
    this.dsn = dsn;
    this.site = site;
    this.tlsFailed = tlsFailed;
  }

  /** Is it worth another try? */
  get isTemporary(): boolean {
    return this.dsn.status.startsWith('4');
  }
}

/** `name[address]` */
export function namedAddress(peer: Peer): string {
  return `${peer.name}[${peer.address}]`;
}

/** `name[address]:port` */
export function relayName(peer: Peer): string {
  return peer.port === 0 ? namedAddress(peer) : `${namedAddress(peer)}:${peer.port}`;
}

/** The status of a reply that is a failure: success where it is out of place is temporary trouble. */
function failureStatus(reply: Reply): string {
  const status = replyStatus(reply);
  return status.startsWith('2') ? '4.5.0' : status;
}

/** The enhanced status code of a reply: its own where it fits the reply code, else one made from it. */
export function replyStatus(reply: Reply): string {
  const lastLine = reply.text.lastIndexOf('\n') + 1;
  const text = lastLine === 0 ? reply.text.slice(4) : reply.text.slice(lastLine + 4);
  const length = enhancedStatusLength(text);
  if (length > 0 && text.charAt(0) === reply.text.charAt(0)) return text.slice(0, length);
  const digit = Math.floor(reply.code / 100);
  // A server that answers with something else than success or failure may do better another time.
  return digit === 2 || digit === 4 || digit === 5 ? `${digit}.0.0` : '4.5.0';
}

function own(status: string, reason: string, site: boolean, tlsFailed = false): Trouble {
  const action = status.startsWith('4') ? 'delayed' : 'failed';
  return new Trouble({ status, action, reason, diagnosticType: 'x-postfix', diagnosticText: reason }, site, tlsFailed);
}

function fromReply(peer: Peer, reply: Reply, status: string, reason: string, site: boolean): Trouble {
  return new Trouble(
    {
      status,
      action: status.startsWith('5') ? 'failed' : 'delayed',
      reason,
      diagnosticType: 'smtp',
      diagnosticText: replyOnOneLine(reply),
      remoteMta: { type: 'dns', name: peer.name },
    },
    site,
  );
}

/** The message or the destination is not deliverable, as this client finds by itself. */
export function messageTrouble(status: string, reason: string): Trouble {
  return own(status, reason, false);
}

export function siteTrouble(status: string, reason: string): Trouble {
  return own(status, reason, true);
}

export function connectTrouble(peer: Peer, failure: ConnectFailure): Trouble {
  return siteTrouble('4.4.1', `connect to ${relayName(peer)}: ${failure.text}`);
}

/** `activity` as in "while sending MAIL FROM". */
export function breakdownTrouble(peer: Peer, breakdown: Breakdown, activity: string): Trouble {
  return siteTrouble(
    '4.4.2',
    breakdown === 'timeout'
      ? `conversation with ${namedAddress(peer)} timed out while ${activity}`
      : `lost connection with ${namedAddress(peer)} while ${activity}`,
  );
}

export function tlsTrouble(reason: string): Trouble {
  return own('4.7.5', reason, true, true);
}

/** The server does not want to talk at all. `temporary` makes a refusal for good one for the time being. */
export function refusal(peer: Peer, reply: Reply, temporary: boolean): Trouble {
  const status = failureStatus(reply);
  return fromReply(
    peer,
    reply,
    temporary ? withStatusClass(status, '4') : status,
    `host ${namedAddress(peer)} refused to talk to me: ${replyOnOneLine(reply)}`,
    true,
  );
}

/** The server said no to one command: "RCPT TO", "end of DATA". */
export function said(peer: Peer, reply: Reply, command: string): Trouble {
  return fromReply(
    peer,
    reply,
    failureStatus(reply),
    `host ${namedAddress(peer)} said: ${replyOnOneLine(reply)} (in reply to ${command} command)`,
    false,
  );
}

/** The server does not accept our login; `soft` makes that temporary (smtp_sasl_auth_soft_bounce). */
export function loginRefusal(peer: Peer, reply: Reply, text: string, soft: boolean): Trouble {
  const status = failureStatus(reply);
  return fromReply(peer, reply, soft ? withStatusClass(status, '4') : status, text, true);
}
