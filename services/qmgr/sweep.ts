/**
 * Sweeps what no message needs. Chunks of the CONTENT stream that none refers to: of submissions that were given up, or of
 * messages whose qmgr died between finishing and purging. And the keys of submissions that nobody repeats any more.
 *
 * Of chunks, what is looked at is older than a day, and older by hours than the first frame of any shard that has no rows yet: cleanup
 * refuses an envelope whose first chunk is older than an hour, so whatever a later frame refers to is younger. A shard
 * that stands still keeps its chunks for as long as it takes.
 *
 * Runs in the owner of shard 0. Limits: goes through the subjects a page at a time, so that its memory is bounded. Rejects
 * with what the stores say, with nothing swept that should not be.
 */
import type { Pool } from 'pg';
import { purgeContent } from '../../lib/queue/content.ts';
import { forgetSubmissionKeys } from '../../lib/queue/sql/ingest.ts';
import { type AppliedPosition, appliedPositions } from '../../lib/queue/sql/shard-log.ts';
import { referredContent } from '../../lib/queue/sql/trim.ts';
import { CONTENT_STREAM, incomingStream } from '../../lib/queue/streams.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';

export interface SweepContext {
  readonly nats: Nats;
  readonly pool: Pool;
  readonly log: Log;
  readonly shards: number;
  readonly signal: AbortSignal;
}

/** Milliseconds a chunk must be old. */
export const SWEEP_AGE = 24 * 3600 * 1000;
/** Milliseconds by which a chunk must be older than a frame to be none of its: an hour, and room for retries and clocks. */
const FRAME_DISTANCE = 3 * 3600 * 1000;
const PAGE = 200;
/**
 * Seconds beyond the lifetime of mail for which the key of a submission is known: 30 days. A forward or a notice is repeated
 * while the message that it is made of is in the queue, and a key is claimed after that message arrived; pickup and
 * `postsuper -r` repeat within seconds. The rest is for fleets that stood still, and for mail on hold. Where even that is
 * too short the message goes out twice; it is never lost.
 */
const KEY_MARGIN = 30 * 24 * 3600;
/** Keys that one statement deletes. */
const KEYS = 5000;
const PREFIX = 'postfleet.content.';

/** When the first frame was written that has no rows yet; undefined where all have. */
async function firstUnapplied(
  nats: Nats,
  shard: number,
  known: AppliedPosition | undefined,
): Promise<Date | undefined> {
  const stream = incomingStream(shard);
  const { state, created } = await nats.manager.streams.info(stream);
  const applied = known?.created === created ? known.appliedSequence : 0;
  // A log that ends before what was applied is another one, restored or made anew: none of it is known to have rows.
  const after = applied > state.last_seq ? 0 : applied;
  const sequence = Math.max(after + 1, state.first_seq);
  if (state.messages === 0 || sequence > state.last_seq) return undefined;
  const query = { seq: sequence, next_by_subj: `postfleet.incoming.${shard}.*` };
  const message = await nats.manager.streams.getMessage(stream, query);
  if (message === null) throw new Error(`${stream} has no frame from ${sequence} on, and says that it ends later`);
  return message.time;
}

/** The moment before which a chunk is of no frame that is still to be applied, in milliseconds since 1970. */
async function safeBefore({ nats, pool, shards }: SweepContext): Promise<number> {
  const applied = await appliedPositions(pool);
  let before = Number.POSITIVE_INFINITY;
  for (let shard = 0; shard < shards; shard++) {
    const first = await firstUnapplied(nats, shard, applied.get(shard));
    if (first !== undefined) before = Math.min(before, first.getTime() - FRAME_DISTANCE);
  }
  return before;
}

/** Resolves to the number of subjects that were swept. */
export async function sweepContent(context: SweepContext, age = SWEEP_AGE): Promise<number> {
  const { nats, pool, log, signal } = context;
  // Asked before what messages refer to: a frame that is applied in between has rows by then.
  const before = Math.min(Date.now() - age, await safeBefore(context));
  const { state } = await nats.manager.streams.info(CONTENT_STREAM);
  let swept = 0;
  const old = new Set<string>();
  const flush = async (): Promise<void> => {
    const tokens = [...old];
    old.clear();
    const referred = await referredContent(pool, tokens);
    for (const token of tokens) {
      if (referred.has(token)) continue;
      await purgeContent(nats, token);
      swept++;
    }
  };
  for (let sequence = state.first_seq; state.messages > 0 && sequence <= state.last_seq && !signal.aborted; ) {
    const message = await nats.manager.direct
      .getMessage(CONTENT_STREAM, { seq: sequence, next_by_subj: `${PREFIX}*` })
      .catch(() => null);
    if (message === null || message.time.getTime() > before) break;
    sequence = message.seq + 1;
    old.add(message.subject.slice(PREFIX.length));
    if (old.size >= PAGE) await flush();
  }
  if (old.size > 0) await flush();
  if (swept > 0) log.info(`swept the content of ${swept} messages that were never committed`);
  return swept;
}

/** `lifetime`: seconds for which mail may be in the queue. Resolves to the number of keys that went. */
export async function sweepSubmissionKeys(
  { pool, signal }: Pick<SweepContext, 'pool' | 'signal'>,
  lifetime: number,
): Promise<number> {
  for (let swept = 0; ; ) {
    const gone = await forgetSubmissionKeys(pool, lifetime + KEY_MARGIN, KEYS);
    swept += gone;
    if (gone < KEYS || signal.aborted) return swept;
  }
}
