/**
 * Sweeps chunks of the CONTENT stream that no message refers to: of submissions that were given up, or of messages whose
 * qmgr died between finishing and purging. Only what is older than a day is looked at; cleanup refuses an envelope whose
 * first chunk is older than an hour, so nothing that is looked at can still become a message.
 *
 * Runs in the owner of shard 0. Limits: goes through the subjects a page at a time, so that its memory is bounded.
 */
import type { Pool } from 'pg';
import { purgeContent } from '../../lib/queue/content.ts';
import { referredContent } from '../../lib/queue/sql/trim.ts';
import { CONTENT_STREAM } from '../../lib/queue/streams.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';

/** Milliseconds a chunk must be old. */
export const SWEEP_AGE = 24 * 3600 * 1000;
const PAGE = 200;
const PREFIX = 'postfleet.content.';

/** Resolves to the number of subjects that were swept. */
export async function sweepContent(
  nats: Nats,
  pool: Pool,
  log: Log,
  signal: AbortSignal,
  age = SWEEP_AGE,
): Promise<number> {
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
    if (message === null || message.time.getTime() > Date.now() - age) break;
    sequence = message.seq + 1;
    old.add(message.subject.slice(PREFIX.length));
    if (old.size >= PAGE) await flush();
  }
  if (old.size > 0) await flush();
  if (swept > 0) log.info(`swept the content of ${swept} messages that were never committed`);
  return swept;
}
