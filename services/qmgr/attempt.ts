/**
 * One delivery attempt: the request for the delivery agent, the call, and what it means where the agent cannot say.
 *
 * Logs a warning where a transport is not in master.cf.
 */
import type { DeliveryAgent, DeliveryReply, DeliveryRequest, StatusNotification } from '../../lib/clients/protocols.ts';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import type { Log } from '../../lib/util/log.ts';
import type { ActiveMessage, Entry } from './message.ts';

export interface AttemptOptions {
  readonly log: Log;
  readonly agent: (transport: string) => DeliveryAgent | undefined;
  /** The content of a message that is not in memory; undefined where it cannot be read at present. */
  readonly readContent: (message: ActiveMessage) => Promise<Buffer | undefined>;
  /** Recipients whose transport is in defer_transports are not attempted. */
  readonly deferTransports: ReadonlySet<string>;
}

export interface AttemptReply {
  readonly reply: DeliveryReply;
  /** False where no agent answered: that says nothing of the destination. */
  readonly answered: boolean;
}

/** A notification of something that may be over at the next attempt. */
export const passing = (reason: string, status = '4.3.0'): StatusNotification => ({
  status,
  action: 'delayed',
  reason,
  diagnosticType: '',
  diagnosticText: '',
  remoteMta: '',
});

/** A reply that defers every recipient of the entry, each with the reason that its offset has. */
export function deferEach(entry: Entry, reasonOf: (offset: number) => StatusNotification): DeliveryReply {
  return {
    refused: false,
    destinationUnavailable: undefined,
    recipients: entry.recipients.map(({ offset }) => ({
      offset,
      status: DeliveryStatus.DEFERRED,
      notification: reasonOf(offset),
    })),
  };
}

/** A reply that defers every recipient of the entry. */
export const deferAll = (entry: Entry, reason: StatusNotification): DeliveryReply => deferEach(entry, () => reason);

const EMPTY = Buffer.alloc(0);

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class Attempts {
  readonly #options: AttemptOptions;
  readonly #agents = new Map<string, DeliveryAgent | undefined>();

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** Attempts the entry under an epoch of its shard. Never rejects for what an agent or a store does. */
  async make(entry: Entry, epoch: number): Promise<AttemptReply> {
    const unanswered = (reason: StatusNotification) => ({ reply: deferAll(entry, reason), answered: false });
    const name = entry.queue.transportName;
    if (this.#options.deferTransports.has(name)) return unanswered(passing('deferred transport', '4.3.2'));
    if (!this.#agents.has(name)) this.#agents.set(name, this.#options.agent(name));
    const agent = this.#agents.get(name);
    if (agent === undefined) {
      this.#options.log.warning(`${entry.message.envelope.queueId}: transport ${name} is not in master.cf`);
      return unanswered(passing('mail transport unavailable'));
    }
    let content: Buffer | undefined;
    try {
      content = this.#contentAtHand(entry.message) ?? (await this.#options.readContent(entry.message));
    } catch (error) {
      return unanswered(passing(`the content cannot be read at present: ${textOf(error)}`));
    }
    if (content === undefined) return unanswered(passing('the content cannot be read at present'));
    try {
      // Without a signal: a delivery that has begun goes on, and its outcome counts, whatever becomes of this qmgr.
      return { reply: await agent.deliver(deliveryRequest(entry, epoch, content)), answered: true };
    } catch (error) {
      // Whether it was delivered is unknown; the agent may remember the attempt when it is asked again.
      return unanswered(passing(`delivery agent lost: ${textOf(error)}`));
    }
  }

  /** What travels in the request: nothing of content that lies in chunks. Undefined where it is to be read first. */
  #contentAtHand({ envelope, content }: ActiveMessage): Buffer | undefined {
    if (content !== undefined) return content;
    return envelope.contentReference !== undefined || envelope.contentSize === 0 ? EMPTY : undefined;
  }
}

function deliveryRequest(entry: Entry, epoch: number, content: Buffer): DeliveryRequest {
  const { message, queue, recipients, attempts } = entry;
  const { envelope, key } = message;
  return {
    attempt: {
      shard: message.shard,
      epoch,
      id: `${key.log}:${key.sequence}:${key.entry}:${recipients[0]!.offset}+${recipients.length}:${attempts}`,
    },
    transport: queue.transportName,
    nexthop: queue.nexthop,
    queueId: envelope.queueId,
    sender: envelope.sender,
    recipients: recipients as DeliveryRequest['recipients'],
    arrivalTime: envelope.arrivalTime,
    activeTime: message.activeTime,
    encoding: envelope.encoding,
    smtputf8: envelope.smtputf8,
    dsnEnvid: envelope.dsnEnvid,
    dsnRet: envelope.dsnRet,
    contentSize: envelope.contentSize,
    content,
    contentReference: envelope.contentReference,
    client: envelope.client,
    traceparent: message.span?.traceparent ?? envelope.traceparent,
    traceFlags: envelope.traceFlags,
    rewriteContext: envelope.rewriteContext,
  };
}
