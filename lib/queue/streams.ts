/**
 * The JetStream streams of a fleet: INCOMING_<shard> and DEFERRED_<shard> for each shard, and CONTENT. Makes the ones that
 * are missing, and checks that the ones that exist are what Postfleet expects, because a stream with another retention
 * or discard policy would lose mail.
 *
 * Throws FatalError naming the stream, the field, what was found and what was expected.
 */
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { FatalError } from '../util/errors.ts';

export const CONTENT_STREAM = 'CONTENT';
export const incomingStream = (shard: number): string => `INCOMING_${shard}`;
export const deferredStream = (shard: number): string => `DEFERRED_${shard}`;
/** `writer` is the token of one cleanup process: nobody else publishes on its subject. */
export const incomingSubject = (shard: number, writer: string): string => `postfleet.incoming.${shard}.${writer}`;
export const deferredSubject = (shard: number, writer: string): string => `postfleet.deferred.${shard}.${writer}`;
export const contentSubject = (token: string): string => `postfleet.content.${token}`;

export interface StreamOptions {
  readonly shards: number;
  /** Copies of each stream: 3 on a cluster of three servers. */
  readonly replicas: number;
  /** Bound of each incoming log in octets; 0 for none but the disk's. */
  readonly maxBytes: number;
}

function wanted(name: string, subjects: string[], options: StreamOptions): Partial<StreamConfig> & { name: string } {
  return {
    name,
    subjects,
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: options.replicas,
    max_bytes: options.maxBytes > 0 ? options.maxBytes : -1,
    allow_direct: true,
    // Nobody deletes single messages: trimming is a purge up to a floor.
    deny_delete: true,
    // No message carries a Nats-Msg-Id; the shortest window keeps the server from remembering any.
    duplicate_window: 100_000_000,
  };
}

function check(info: StreamInfo, want: Partial<StreamConfig>): void {
  const fields = ['retention', 'storage', 'discard'] as const;
  for (const field of fields) {
    if (info.config[field] === want[field]) continue;
    throw new FatalError(
      `stream ${info.config.name}: ${field} is "${info.config[field]}", expected "${want[field]}": remove the stream or correct it with the nats command`,
    );
  }
  const subjects = [...(info.config.subjects ?? [])].sort().join(' ');
  const expected = [...(want.subjects ?? [])].sort().join(' ');
  if (subjects !== expected) {
    throw new FatalError(
      `stream ${info.config.name}: subjects are "${subjects}", expected "${expected}": another program uses this name`,
    );
  }
  if (info.config.max_age !== 0) {
    throw new FatalError(`stream ${info.config.name}: max_age is set, expected 0: mail would vanish by age`);
  }
}

async function ensure(manager: JetStreamManager, want: Partial<StreamConfig> & { name: string }): Promise<StreamInfo> {
  try {
    const info = await manager.streams.info(want.name);
    check(info, want);
    return info;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== 10059) throw error;
  }
  try {
    return await manager.streams.add(want);
  } catch (error) {
    // Another process of the fleet may have made it meanwhile.
    if (!(error instanceof JetStreamApiError) || error.code !== 10058) throw error;
    const info = await manager.streams.info(want.name);
    check(info, want);
    return info;
  }
}

/** Makes or checks every stream. */
export async function ensureStreams(manager: JetStreamManager, options: StreamOptions): Promise<void> {
  await ensure(manager, wanted(CONTENT_STREAM, ['postfleet.content.*'], options));
  for (let shard = 0; shard < options.shards; shard++) {
    await ensure(manager, wanted(incomingStream(shard), [`postfleet.incoming.${shard}.*`], options));
    await ensure(
      manager,
      wanted(deferredStream(shard), [`postfleet.deferred.${shard}.*`], { ...options, maxBytes: 0 }),
    );
  }
  // A fleet's shard count is fixed when it is made: with fewer, the mail of the others would wait for nobody.
  for await (const info of manager.streams.list()) {
    const match = /^INCOMING_(\d{1,4})$/.exec(info.config.name);
    if (match !== null && Number(match[1]) >= options.shards) {
      throw new FatalError(
        `postfleet_shards is ${options.shards}, but stream ${info.config.name} exists: set it to at least ${Number(match[1]) + 1}`,
      );
    }
  }
}
