/**
 * Reading the queue for people: a page of messages with their undone recipients, and the messages that have an id.
 *
 * Pages go by the primary key, never by OFFSET, so each costs the same however long the queue is, and no cursor or
 * snapshot stays open while a terminal scrolls. What arrives or goes meanwhile may be seen or missed. A message's first
 * recipients come with it; the others are further pages.
 *
 * There is no index on queue_id: every message would pay for it, and only commands look there. One scan answers for any
 * number of ids.
 */
import type { ClientBase } from 'pg';
import type { MessageKey } from '../message-key.ts';

type Queryable = Pick<ClientBase, 'query'>;

export interface ListedRecipient {
  readonly recipient: number;
  readonly address: Buffer;
  /** Why the last attempt failed; null where none did. */
  readonly reason: Buffer | null;
}

export interface ListedMessage extends MessageKey {
  readonly queueId: string;
  readonly sender: Buffer;
  /** Seconds since 1970. */
  readonly arrivalTime: number;
  readonly size: number;
  readonly queueName: 'active' | 'deferred' | 'hold';
  readonly forcedExpire: boolean;
  readonly recipients: readonly ListedRecipient[];
}

interface Row {
  log: number;
  sequence: number;
  entry: number;
  queue_id: string;
  sender: Buffer;
  arrival: number;
  size: number;
  queue_name: ListedMessage['queueName'];
  forced_expire: boolean;
  numbers: number[] | null;
  addresses: Buffer[] | null;
  reasons: (Buffer | null)[] | null;
}

const COLUMNS = `m.log, m.sequence, m.entry, m.queue_id, m.sender, extract(epoch from m.arrival_time)::float8 as arrival, m.size,
       case when m.hold then 'hold' when r.active is not false then 'active' else 'deferred' end as queue_name,
       m.forced_expire, r.numbers, r.addresses, r.reasons`;

/** A message without undone recipients waits for its notice: it is active. */
const RECIPIENTS = `lateral (
    select bool_or(next_attempt = 'infinity') as active, array_agg(recipient) as numbers, array_agg(address) as addresses,
           array_agg(reason) as reasons
      from (select recipient, address, reason, next_attempt from recipient
             where log = m.log and sequence = m.sequence and entry = m.entry order by recipient limit $1) first) r`;

function listed(row: Row): ListedMessage {
  const { numbers, addresses, reasons } = row;
  return {
    log: row.log,
    sequence: Number(row.sequence),
    entry: row.entry,
    queueId: row.queue_id,
    sender: row.sender,
    arrivalTime: row.arrival,
    size: Number(row.size),
    queueName: row.queue_name,
    forcedExpire: row.forced_expire,
    recipients: (numbers ?? []).map((recipient, at) => ({
      recipient,
      address: addresses![at]!,
      reason: reasons![at] ?? null,
    })),
  };
}

/** The next messages after a key, or the first ones. */
export async function listPage(
  client: Queryable,
  after: MessageKey | undefined,
  messages: number,
  recipients: number,
): Promise<ListedMessage[]> {
  const { log, sequence, entry } = after ?? { log: -1, sequence: -1, entry: -1 };
  const result = await client.query<Row>({
    name: 'list-page',
    text: `select ${COLUMNS}
             from (select * from message where (log, sequence, entry) > ($2, $3, $4)
                    order by log, sequence, entry limit $5) m, ${RECIPIENTS}
            order by m.log, m.sequence, m.entry`,
    values: [recipients, log, sequence, entry, messages],
  });
  return result.rows.map(listed);
}

/** The messages that have one of these queue ids; usually one each. */
export async function listByQueueId(
  client: Queryable,
  queueIds: readonly string[],
  recipients: number,
): Promise<ListedMessage[]> {
  const result = await client.query<Row>({
    name: 'list-by-queue-id',
    text: `select ${COLUMNS} from message m, ${RECIPIENTS} where m.queue_id = any($2::text[])
            order by m.log, m.sequence, m.entry`,
    values: [recipients, queueIds],
  });
  return result.rows.map(listed);
}

/** More recipients of one message, after a recipient. */
export async function listRecipients(
  client: Queryable,
  key: MessageKey,
  after: number,
  limit: number,
): Promise<ListedRecipient[]> {
  const result = await client.query<ListedRecipient>({
    name: 'list-recipients',
    text: `select recipient, address, reason from recipient
            where log = $1 and sequence = $2 and entry = $3 and recipient > $4 order by recipient limit $5`,
    values: [key.log, key.sequence, key.entry, after, limit],
  });
  return result.rows;
}
