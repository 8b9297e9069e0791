/**
 * What access restrictions judge, and what they leave behind: the client, its HELO name, the sender and the recipient at
 * hand, and the marks that restrictions set for later (defer if permitted, hold, filter …). One per session.
 */
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';

/** Whether the name of the client's address, looked up, leads back to the address. */
export type NameStatus = 'ok' | 'temporary' | 'permanent' | 'forged';

export interface Peer {
  /** Verified host name, or "unknown". */
  readonly name: string;
  /** Host name that its address has, verified or not, or "unknown". */
  readonly reverseName: string;
  /** Address without brackets; IPv4 in its own form where it came mapped into IPv6. */
  readonly address: string;
  readonly port: number;
  readonly nameStatus: NameStatus;
  readonly reverseNameStatus: NameStatus;
}

/** A client of whom nothing is known. */
export const NOBODY: Peer = {
  name: 'unknown',
  reverseName: 'unknown',
  address: 'unknown',
  port: 0,
  nameStatus: 'permanent',
  reverseNameStatus: 'permanent',
};

export type Stage =
  | 'CONNECT'
  | 'HELO'
  | 'EHLO'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'END-OF-MESSAGE'
  | 'ETRN'
  | 'VRFY'
  | 'BDAT';

/** A delayed decision: the reply that is due when the outcome is the one named. */
export interface Deferral {
  readonly reply: string;
}

/** What access tables want done with the message besides taking or refusing it. */
export interface MessageActions {
  hold: boolean;
  discard: boolean;
  filter: string;
  redirect: string;
  bcc: string[];
  prepend: string[];
}

export function noActions(): MessageActions {
  return { hold: false, discard: false, filter: '', redirect: '', bcc: [], prepend: [] };
}

export class Subject {
  peer: Peer;
  /** Empty before HELO. */
  heloName = '';
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  /** Undefined outside of a mail transaction; empty for the null sender. */
  sender: string | undefined;
  /** The transaction is one of SMTPUTF8: names may be UTF-8. */
  smtputf8 = false;
  /** The recipient, or the argument of ETRN or VRFY, under judgement. */
  recipient: string | undefined;
  recipientCount = 0;
  /** The only recipient that was accepted; undefined where there are more or none. */
  soleRecipient: string | undefined;
  /** As log lines name it: NOQUEUE until there is a message. */
  queueId = 'NOQUEUE';
  stage: Stage = 'CONNECT';
  /** The client sent commands ahead where it must not (RFC 2920 section 3.1). */
  illegalPipelining = false;
  /** SASL login; empty where the client did not authenticate. */
  saslUsername = '';
  saslMethod = '';
  saslSender = '';
  /** Fingerprints of a verified TLS client certificate and of its public key; empty for none. */
  certificateFingerprint = '';
  publicKeyFingerprint = '';
  /** Address forms are completed as for mail that originates here. */
  rewriteContext: 'local' | 'remote' = 'remote';

  /** Set by restrictions; see engine.ts for when they count. */
  deferIfPermit: Deferral | undefined;
  deferIfReject: Deferral | undefined;
  /** Deferrals of what would be permitted, as earlier stages left them. */
  carried: Map<Stage, Deferral> | undefined;
  /** The restriction that runs may only log what it would refuse. */
  warnIfReject = false;
  /** The recipient, or the sender, was found to be listed, by a restriction of this evaluation. */
  recipientListed = false;
  senderListed = false;
  actions: MessageActions = noActions();

  constructor(peer: Peer) {
    this.peer = peer;
  }

  /** `name[address]` */
  get clientNameAddress(): string {
    return `${this.peer.name}[${this.peer.address}]`;
  }
}

/** Any of the classes for which this system takes mail: delivered here, or relayed for a domain that it serves. */
export const AUTHORIZED =
  ResolveFlag.CLASS_LOCAL | ResolveFlag.CLASS_ALIAS | ResolveFlag.CLASS_VIRTUAL | ResolveFlag.CLASS_RELAY;
