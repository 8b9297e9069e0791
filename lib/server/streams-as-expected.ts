/**
 * What a service that keeps or reads mail looks at before it begins: that the streams of the fleet are there and are what they
 * must be. JetStream that does not answer, or has no leader at this moment, is waited for, with one warning.
 *
 * Throws FatalError naming the stream and what is wrong with it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import { checkStreams } from '../queue/streams.ts';
import type { Log } from '../util/log.ts';
import { isAway } from './store-away.ts';
import type { Nats } from './stores.ts';

const WAIT = 500;
/** Of errors of JetStream: asked again later it may answer. */
const UNAVAILABLE = 503;

const mayPass = (error: unknown): boolean =>
  isAway(error) || (error instanceof JetStreamApiError && error.status === UNAVAILABLE);

export async function streamsAsExpected(
  { manager }: Nats,
  shards: number,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (let complained = false; ; complained = true) {
    try {
      return await checkStreams(manager, shards);
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (!complained)
        log.warning(`JetStream does not tell of its streams (${(error as Error).message}); waiting for it`);
    }
    await delay(WAIT, undefined, { signal });
  }
}
