/**
 * A message in the active queue, how it comes in, and the entries made of it: an entry is the recipients that one
 * delivery carries.
 */
import type { DeliveryRecipient, Envelope, ResolveReply, StatusNotification } from '../../lib/clients/protocols.ts';
import type { MessageKey } from '../../lib/queue/message-key.ts';
import type { TraceSpan } from '../../lib/server/tracing.ts';
import type { Peer } from './peer.ts';
import type { DestinationQueue } from './queue.ts';
import type { Unwritten } from './unwritten.ts';

export interface ActiveMessage {
  readonly key: MessageKey;
  readonly shard: number;
  /** The epoch under which it was made active: under another one somebody else may have had it meanwhile. */
  readonly epoch: number;
  /** Without its recipients while some of them are kept apart (unread.ts). */
  envelope: Envelope;
  /** Undefined where memory is short, or the content is in chunks: it is read when its turn comes. */
  content: Buffer | undefined;
  /** Where the entry lies at present. */
  at: MessageKey;
  /** Microseconds since 1970. */
  readonly activeTime: number;
  /** True where the envelope has one recipient: its rows go without counting. */
  readonly single: boolean;
  readonly delayNotified: boolean;
  /** Set where it is given up by force: by recipient, what became of the attempts before. */
  forcedExpire: Map<number, StatusNotification> | undefined;
  /** Entries that are not done. */
  pending: number;
  /** Recipients of which the sender is to hear: the notice is due when the pass is over. */
  untold: number;
  /** Deleted from the queue meanwhile: what waits is not attempted any more. */
  deleted: boolean;
  /** Set where it is delivered before it has rows. */
  unwritten: Unwritten | undefined;
  readonly span: TraceSpan | undefined;
}

/** Recipients of a message that are to be delivered, each with the attempts that it has behind it. */
export interface Admission {
  readonly message: ActiveMessage;
  readonly recipients: readonly {
    readonly offset: number;
    readonly attempts: number;
    readonly resolved: ResolveReply;
  }[];
}

export interface Entry {
  readonly message: ActiveMessage;
  readonly queue: DestinationQueue;
  readonly peer: Peer;
  readonly recipients: readonly DeliveryRecipient[];
  /** Attempts that came before this one. */
  readonly attempts: number;
}

/** Octets that a message keeps in memory. */
export const heldOctets = (message: ActiveMessage): number => message.content?.length ?? 0;
