/**
 * Brings deferred recipients whose time has come, and those handed over by other shards, into the active queue. The poll
 * is the truth, a notification only brings it forward.
 *
 * A message whose entry cannot be found is held back and logged; one whose envelope's chunks are lost is set aside as
 * corrupt beside that. The others go on.
 */
import type { Pool } from 'pg';
import type { TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ContentGone } from '../../lib/queue/content.ts';
import type { EntryAddress, EntryReader, StoredEntry } from '../../lib/queue/entry-reader.ts';
import { keyText, type MessageKey } from '../../lib/queue/message-key.ts';
import { setCorruptAside } from '../../lib/queue/sql/corrupt.ts';
import {
  activateDue,
  currentLocation,
  type DueMessage,
  postpone,
  saveEnvelopeSubject,
} from '../../lib/queue/sql/due.ts';
import type { Tracing } from '../../lib/server/tracing.ts';
import type { Log } from '../../lib/util/log.ts';
import { lastDeferrals, resolvedAsExpired } from './expire.ts';
import type { ActiveMessage, Admission } from './message.ts';

/** More recipients than this come due in several scans. */
const MANY_RECIPIENTS = 500;

/**
 * The entry that was read last, where it has many recipients: a hundred scans in a row may ask for it, and reading it
 * takes as long as a hundred others.
 */
export class LargeEntry {
  #key: string | undefined;
  #entry: StoredEntry | undefined;

  get(key: MessageKey): StoredEntry | undefined {
    return this.#key === keyText(key) ? this.#entry : undefined;
  }

  keep(key: MessageKey, entry: StoredEntry): void {
    if (entry.envelope.recipients.length <= MANY_RECIPIENTS) return;
    this.#key = keyText(key);
    this.#entry = entry;
  }

  forget(): void {
    this.#key = undefined;
    this.#entry = undefined;
  }
}

export interface ScanContext {
  readonly pool: Pool;
  readonly log: Log;
  readonly rewrite: TrivialRewrite;
  readonly tracing: Tracing;
  readonly entries: EntryReader;
  readonly streamOf: (log: number) => Promise<string | undefined>;
  readonly shard: number;
  readonly epoch: number;
  readonly large: LargeEntry;
}

/** Seconds after which a message whose content was not found is looked for again. */
const MISSING_DELAY = 300;

/** What `read` gives of a message, wherever its entry has moved to. */
async function wherever<T>(
  { streamOf, pool }: ScanContext,
  message: DueMessage,
  read: (address: EntryAddress) => Promise<T | undefined>,
): Promise<T | undefined> {
  const stream = await streamOf(message.at.log);
  const found = stream === undefined ? undefined : await read({ stream, ...message.at });
  if (found !== undefined) return found;
  const at = await currentLocation(pool, message);
  const moved = at === undefined ? undefined : await streamOf(at.log);
  return at === undefined || moved === undefined ? undefined : read({ stream: moved, ...at });
}

async function readEntry(context: ScanContext, message: DueMessage): Promise<StoredEntry | undefined> {
  const { entries, pool, log } = context;
  try {
    const stored = await wherever(context, message, async (address) => {
      const entry = await entries.read(address);
      // In a stream that was made anew another message may lie there.
      return entry?.envelope.queueId === message.queueId ? entry : undefined;
    });
    if (stored?.envelopeSubject !== undefined && message.envelopeSubject === null)
      await saveEnvelopeSubject(pool, message, stored.envelopeSubject);
    return stored;
  } catch (error) {
    if (!(error instanceof ContentGone)) throw error;
    log.warning(`${message.queueId}: set aside as corrupt: the envelope: ${error.message}`);
    const stub = await wherever(context, message, (address) => entries.readBytes(address));
    const { log: number, sequence, entry } = message;
    const { envelope, content } = stub ?? { envelope: Buffer.alloc(0), content: Buffer.alloc(0) };
    const reason = error.message;
    await setCorruptAside(pool, { log: number, sequence, entry, reason, envelope, content, subjects: [] });
    return undefined;
  }
}

async function admission(context: ScanContext, message: DueMessage): Promise<Admission | undefined> {
  const stored = context.large.get(message) ?? (await readEntry(context, message));
  if (stored === undefined) return undefined;
  context.large.keep(message, stored);
  const { envelope, content } = stored;
  const resolved = await context.rewrite.resolve(
    message.recipients.map((offset) => ({
      kind: 'resolve',
      sender: envelope.sender,
      address: envelope.recipients[offset]!.address,
    })),
  );
  const active: ActiveMessage = {
    key: { log: message.log, sequence: message.sequence, entry: message.entry },
    shard: context.shard,
    epoch: context.epoch,
    envelope,
    content: envelope.contentReference === undefined ? content : undefined,
    at: message.at,
    activeTime: Date.now() * 1000,
    single: envelope.recipients.length === 1,
    delayNotified: message.delayNotified,
    forcedExpire: lastDeferrals(message),
    pending: 0,
    untold: 0,
    deleted: false,
    unwritten: undefined,
    span: context.tracing.start('qmgr', envelope.traceparent),
  };
  context.log.info(
    `${envelope.queueId}: from=<${envelope.sender}>, size=${envelope.contentSize}, nrcpt=${message.recipients.length} (queue active)`,
  );
  return {
    message: active,
    recipients: message.recipients.map((offset, index) => ({
      offset,
      attempts: message.attempts[index] ?? 0,
      resolved: message.forcedExpire
        ? resolvedAsExpired(resolved[index]!, message.deferrals[index] !== null)
        : resolved[index]!,
    })),
  };
}

/** Takes up to `limit` recipients that are due; resolves to how many there were. */
export async function scanDue(
  context: ScanContext,
  limit: number,
  admit: (admissions: Admission[]) => void,
): Promise<number> {
  const { pool, shard, epoch, log } = context;
  const due = await activateDue(pool, shard, epoch, limit);
  if (due.length === 0) context.large.forget();
  const admissions: Admission[] = [];
  const missing: DueMessage[] = [];
  for (const message of due) {
    const admitted = await admission(context, message);
    if (admitted !== undefined) admissions.push(admitted);
    else missing.push(message);
  }
  if (missing.length > 0) {
    for (const { queueId } of missing)
      log.warning(`${queueId}: its content is not in the log; held back for ${MISSING_DELAY} seconds`);
    await postpone(pool, shard, epoch, missing, MISSING_DELAY);
  }
  admit(admissions);
  return due.reduce((count, message) => count + message.recipients.length, 0);
}
