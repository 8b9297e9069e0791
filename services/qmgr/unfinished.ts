/**
 * Messages without undone recipients that wait for their notices with nobody to see to them: who finished the last recipient
 * went before the notice was made. That may have been the former owner of the message's shard, or the owner of another
 * shard, for a recipient belongs to the shard of its destination.
 *
 * A qmgr that lives sees to its own within moments, so a message is taken when two looks in a row found it. Where both
 * were at it in the end, the notice has a submission key and is made once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { keyText } from '../../lib/queue/message-key.ts';
import { finishingMessages } from '../../lib/queue/sql/due.ts';
import type { Finisher } from './finish.ts';

export interface UnfinishedContext {
  readonly pool: Pool;
  readonly shard: number;
  readonly finisher: Pick<Finisher, 'add'>;
  readonly signal: AbortSignal;
  /** Milliseconds between two looks. */
  readonly interval?: number;
}

const INTERVAL = 5000;
/** Messages that one look takes. */
const LIMIT = 10_000;

/** Takes what a former owner left at once, and looks for what others leave until the signal. Rejects with Postgres' errors. */
export async function seeToUnfinished(context: UnfinishedContext): Promise<void> {
  const { pool, shard, finisher, signal, interval = INTERVAL } = context;
  let before: ReadonlySet<string> | undefined;
  while (!signal.aborted) {
    const unfinished = await finishingMessages(pool, shard, LIMIT);
    for (const { log, sequence, entry, queueId, contentSubject } of unfinished) {
      const key = { log, sequence, entry };
      if (before !== undefined && !before.has(keyText(key))) continue;
      finisher.add({ key, queueId, contentSubject: contentSubject ?? undefined });
    }
    before = new Set(unfinished.map(keyText));
    await delay(interval, undefined, { signal }).catch(() => undefined);
  }
}
