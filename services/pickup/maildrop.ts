/**
 * The MAILDROP stream as pickup(8) works it: entries in the order in which they were committed, the parts of large ones,
 * what is deleted when it is done, and what is set aside because it cannot be read.
 */
import type { Consumer, JsMsg } from '@nats-io/jetstream';
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import {
  ENTRY_SUBJECTS,
  ensureMaildrop,
  entrySubject,
  type LastPart,
  MAILDROP_CORRUPT_STREAM,
  MAILDROP_STREAM,
  MaildropDamaged,
  PART_SUBJECTS,
  partSubject,
  tokenOf,
} from '../../lib/queue/maildrop.ts';
import type { Nats } from '../../lib/server/stores.ts';

const CONSUMER = 'pickup';
/** Entries that one pickup works on, at most, and so the most that are handed out again when it dies. */
const MAX_PENDING = 256;
/** How long an entry may take without a sign of life before another pickup gets it. */
export const ACK_WAIT = 60_000;
/** Parts whose entry does not come are swept when they are older than this. */
const ORPHAN_AGE = 24 * 3_600_000;

const CONSUMER_NOT_FOUND = 10014;

export class Maildrop {
  readonly #nats: Nats;
  /** When the stream was made: a stream made anew counts its sequences from 1 again. */
  readonly created: string;
  readonly #consumer: Consumer;

  private constructor(nats: Nats, created: string, consumer: Consumer) {
    this.#nats = nats;
    this.created = created;
    this.#consumer = consumer;
  }

  /** Makes streams and consumer where they are missing. Throws FatalError where what is there is not what is expected. */
  static async open(nats: Nats, replicas: number): Promise<Maildrop> {
    const { created } = await ensureMaildrop(nats.manager, replicas);
    try {
      await nats.manager.consumers.info(MAILDROP_STREAM, CONSUMER);
    } catch (error) {
      if ((error as { code?: number }).code !== CONSUMER_NOT_FOUND) throw error;
      await nats.manager.consumers.add(MAILDROP_STREAM, {
        durable_name: CONSUMER,
        filter_subject: ENTRY_SUBJECTS,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: ACK_WAIT * 1_000_000,
        max_ack_pending: MAX_PENDING,
        max_deliver: -1,
      });
    }
    return new Maildrop(nats, created, await nats.jetstream.consumers.get(MAILDROP_STREAM, CONSUMER));
  }

  /** Messages as they come, until the iterator is stopped. */
  entries(): ReturnType<Consumer['consume']> {
    return this.#consumer.consume({ max_messages: MAX_PENDING });
  }

  /** The parts before the last one, in order. Throws MaildropDamaged where one is missing. */
  async *earlierParts(subject: string, last: LastPart): AsyncGenerator<Buffer> {
    let sequence = 1;
    for (let part = 0; part < last.partsBefore; part++) {
      const message = await this.#nats.manager.direct.getMessage(MAILDROP_STREAM, {
        seq: sequence,
        next_by_subj: partSubject(tokenOf(subject)),
      });
      if (message === null) throw new MaildropDamaged(`part ${part} of ${last.partsBefore} is missing`);
      sequence = message.seq + 1;
      yield Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength);
    }
  }

  /** Takes an entry out of the stream: it lies in the incoming log, or nobody wants it. */
  async remove(message: JsMsg, partsBefore: number): Promise<void> {
    // Without the acknowledgement the entry would come again; with it, and still there, it would only take room.
    await message.ackAck();
    if (partsBefore > 0) {
      await this.#nats.manager.streams.purge(MAILDROP_STREAM, { filter: partSubject(tokenOf(message.subject)) });
    }
    await this.#nats.manager.streams.purge(MAILDROP_STREAM, { filter: message.subject });
  }

  /** Copies an entry that cannot be read to a stream of its own, then takes it out. */
  async setAside(message: JsMsg): Promise<void> {
    const token = tokenOf(message.subject);
    const copy = async (kind: string, data: Uint8Array): Promise<void> => {
      await this.#nats.jetstream.publish(`${MAILDROP_CORRUPT_STREAM}.${kind}.${token}`, data, { timeout: 15_000 });
    };
    let sequence = 1;
    for (;;) {
      const part = await this.#nats.manager.direct.getMessage(MAILDROP_STREAM, {
        seq: sequence,
        next_by_subj: partSubject(token),
      });
      if (part === null) break;
      sequence = part.seq + 1;
      await copy('part', part.data);
    }
    await copy('entry', message.data);
    await this.remove(message, 1);
  }

  /** Removes parts of uploads that were broken off. Returns how many uploads. */
  async sweep(): Promise<number> {
    const { state } = await this.#nats.manager.streams.info(MAILDROP_STREAM, { subjects_filter: PART_SUBJECTS });
    let swept = 0;
    for (const subject of Object.keys(state.subjects ?? {})) {
      const query = (last_by_subj: string) => this.#nats.manager.direct.getMessage(MAILDROP_STREAM, { last_by_subj });
      const newest = await query(subject);
      if (newest === null || Date.now() - newest.time.getTime() < ORPHAN_AGE) continue;
      if ((await query(entrySubject(tokenOf(subject)))) !== null) continue;
      await this.#nats.manager.streams.purge(MAILDROP_STREAM, { filter: subject });
      swept++;
    }
    return swept;
  }
}
