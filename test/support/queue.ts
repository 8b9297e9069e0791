/**
 * A queue with messages in it, for tests of what reads queues: rows in a database of its own, and entries at hand in place
 * of the logs.
 */
import { Envelope } from '../../lib/clients/protocols.ts';
import type { EntryReader, StoredEntry } from '../../lib/queue/entry-reader.ts';
import type { MessageKey } from '../../lib/queue/message-key.ts';
import type { Stores } from '../../lib/server/stores.ts';
import { createDatabase, type TestDatabase } from './postgres.ts';

type DeepPartialEnvelope = Parameters<typeof Envelope.fromPartial>[0];

export interface QueuedMessage {
  readonly queueId?: string;
  readonly content?: Buffer;
  readonly envelope?: DeepPartialEnvelope;
  /** Recipients in the order of the envelope; "active" by default. */
  readonly recipients: readonly { address: string; deferred?: string; done?: boolean }[];
  readonly hold?: boolean;
}

export interface QueueListener extends AsyncDisposable {
  /** What was notified so far. */
  heard(): Promise<string[]>;
}

export interface TestQueue extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly entries: EntryReader;
  add(message: QueuedMessage): Promise<MessageKey & { queueId: string }>;
  /** Hears what is notified, as qmgr does. */
  listen(): Promise<QueueListener>;
  readonly stores: Stores;
}

const STREAM = 'INCOMING_0';
const SHARD = 0;

export async function createQueue(): Promise<TestQueue> {
  const database = await createDatabase();
  const { pool } = database;
  await pool.query('insert into shard (shard) values ($1)', [SHARD]);
  const made = await pool.query<{ log: number }>(
    `insert into log (shard, kind, stream, created) values ($1, 'incoming', $2, '2026-11-22T00:00:00Z') returning log`,
    [SHARD, STREAM],
  );
  const { log } = made.rows[0]!;
  const stored = new Map<string, StoredEntry>();
  let sequence = 0;

  async function add(message: QueuedMessage) {
    sequence++;
    const queueId = message.queueId ?? `4Test${String(sequence).padStart(5, '0')}zABC`;
    const content = message.content ?? Buffer.from('Subject: test\n\nhello\n');
    const envelope = Envelope.fromPartial({
      sender: 'sender@example.com',
      arrivalTime: Date.UTC(2026, 10, 22, 14, 7, 36) * 1000 + sequence,
      contentSize: content.length,
      ...message.envelope,
      queueId,
      recipients: message.envelope?.recipients ?? message.recipients.map(({ address }) => ({ address })),
    });
    stored.set(`${STREAM}/${sequence}/0`, { envelope, envelopeSubject: undefined, content });
    const undone = message.recipients.filter(({ done }) => done !== true);
    await pool.query(
      `insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size, hold)
       values ($1, $2, 0, $3, $4, $5, $6, to_timestamp($7), $8, $9)`,
      [
        log,
        sequence,
        SHARD,
        undone.length,
        queueId,
        Buffer.from(envelope.sender),
        envelope.arrivalTime / 1e6,
        content.length,
        message.hold ?? false,
      ],
    );
    for (const [offset, { address, deferred, done }] of message.recipients.entries()) {
      if (done === true) continue;
      await pool.query(
        `insert into recipient (log, sequence, entry, recipient, shard, next_attempt, address, transport, nexthop, status, reason)
         values ($1, $2, 0, $3, $4, case when $5 then now() + interval '1 hour' else 'infinity' end, $6, 'smtp', $7, $8, $9)`,
        [
          log,
          sequence,
          offset,
          SHARD,
          deferred !== undefined && message.hold !== true,
          Buffer.from(address),
          address.split('@')[1] ?? '',
          deferred === undefined ? null : '4.0.0',
          deferred === undefined ? null : Buffer.from(deferred),
        ],
      );
    }
    return { log, sequence, entry: 0, queueId };
  }

  async function listen(): Promise<QueueListener> {
    const client = await pool.connect();
    const payloads: string[] = [];
    client.on('notification', ({ payload }) => payloads.push(payload ?? ''));
    await client.query('listen postfleet_queue');
    return {
      async heard() {
        // Notifications come before the answer to a query that was sent after them.
        await client.query('select 1');
        return payloads;
      },
      async [Symbol.asyncDispose]() {
        client.release(true);
      },
    };
  }

  return {
    database,
    listen,
    stores: {
      postgres: async () => pool,
      nats: () => Promise.reject(new Error('the test has no NATS')),
    },
    entries: {
      read: async (at) => stored.get(`${at.stream}/${at.sequence}/${at.entry}`),
      readBytes: () => Promise.reject(new Error('the test has no frames')),
    },
    add,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
