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

/** Codes of errors of JetStream. */
const NAME_IN_USE = 10_058;
const NO_SUCH_STREAM = 10_059;

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
  if (info.config.max_msgs_per_subject > 0) {
    throw new FatalError(
      `stream ${info.config.name}: max_msgs_per_subject is ${info.config.max_msgs_per_subject}, expected -1: mail of a busy writer would be refused`,
    );
  }
  if (info.config.mirror !== undefined || (info.config.sources ?? []).length > 0) {
    throw new FatalError(
      `stream ${info.config.name}: it has a mirror or sources, expected none: others' entries would be taken for mail`,
    );
  }
}

async function ensure(manager: JetStreamManager, want: Partial<StreamConfig> & { name: string }): Promise<StreamInfo> {
  try {
    const info = await manager.streams.info(want.name);
    check(info, want);
    return info;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== NO_SUCH_STREAM) throw error;
  }
  try {
    return await manager.streams.add(want);
  } catch (error) {
    // Another process of the fleet may have made it meanwhile.
    if (!(error instanceof JetStreamApiError) || error.code !== NAME_IN_USE) throw error;
    const info = await manager.streams.info(want.name);
    check(info, want);
    return info;
  }
}

function allWanted(options: StreamOptions): (Partial<StreamConfig> & { name: string })[] {
  const unbounded = { ...options, maxBytes: 0 };
  return [
    wanted(CONTENT_STREAM, ['postfleet.content.*'], options),
    ...Array.from({ length: options.shards }, (_, shard) => [
      wanted(incomingStream(shard), [`postfleet.incoming.${shard}.*`], options),
      wanted(deferredStream(shard), [`postfleet.deferred.${shard}.*`], unbounded),
    ]).flat(),
  ];
}

/** Checks every stream; whoever calls this leaves it to others to make them. */
export async function checkStreams(manager: JetStreamManager, shards: number): Promise<void> {
  for (const want of allWanted({ shards, replicas: 1, maxBytes: 0 })) {
    try {
      check(await manager.streams.info(want.name), want);
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== NO_SUCH_STREAM) throw error;
      throw new FatalError(
        `stream ${want.name} does not exist: make it with "postfleet migrate", or let "postfleet start" or the operator do so`,
      );
    }
  }
}

/** Makes or checks every stream. */
export async function ensureStreams(manager: JetStreamManager, options: StreamOptions): Promise<void> {
  for (const want of allWanted(options)) await ensure(manager, want);
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
