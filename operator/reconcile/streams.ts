/**
 * The JetStream streams of a MailServer: made where they are missing, checked where they exist (lib/queue/streams.ts), and
 * brought to more copies when the cluster has grown. Copies are never taken away by themselves: a server that is away for a
 * moment must not cost any.
 */
import { JetStreamApiError, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream';
import { CONTENT_STREAM, deferredStream, ensureStreams, incomingStream } from '../../lib/queue/streams.ts';
import type { NatsStore } from './store-connections.ts';

/** Stream names of pickup(8), which makes them itself. */
const MAILDROP_STREAMS = ['MAILDROP', 'MAILDROP_CORRUPT'];
const NOT_FOUND = 10_059;
/** "no suitable peers for placement", "replicas > 1 not supported in non-clustered mode", "insufficient resources". */
const TOO_FEW_SERVERS = new Set([10_005, 10_074, 10_023]);

export interface StreamsWanted {
  readonly shards: number;
  /** Undefined: by the number of servers. */
  readonly replicas: number | undefined;
  readonly maxBytes: number;
}

export interface StreamsSeen {
  readonly servers: number;
  readonly replicas: number;
}

async function info(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === NOT_FOUND) return undefined;
    throw error;
  }
}

/** Servers of the cluster as far as they can be seen: those that NATS tells its clients of, and the peers of a stream. */
function serversSeen({ connection }: NatsStore, content: StreamInfo | undefined): number {
  const told = connection.info?.connect_urls?.length ?? 0;
  const peers = content?.cluster === undefined ? 0 : 1 + (content.cluster.replicas?.length ?? 0);
  return Math.max(1, told, peers);
}

/** Makes the streams, with as many copies as there are servers for. Throws FatalError for streams that are not ours. */
async function make(manager: JetStreamManager, wanted: StreamsWanted, replicas: number): Promise<number> {
  const { shards, maxBytes } = wanted;
  try {
    await ensureStreams(manager, { shards, maxBytes, replicas });
    return replicas;
  } catch (error) {
    if (replicas === 1 || wanted.replicas !== undefined) throw error;
    if (!(error instanceof JetStreamApiError) || !TOO_FEW_SERVERS.has(error.code)) throw error;
    return make(manager, wanted, 1);
  }
}

async function addCopies(manager: JetStreamManager, name: string, replicas: number): Promise<void> {
  const present = await info(manager, name);
  if (present !== undefined && present.config.num_replicas < replicas)
    await manager.streams.update(name, { num_replicas: replicas });
}

function streamNames(shards: number): string[] {
  const all = Array.from({ length: shards }, (_, shard) => [incomingStream(shard), deferredStream(shard)]);
  return [CONTENT_STREAM, ...all.flat()];
}

/** Makes and checks the streams; resolves to what there is. */
export async function keepStreams(store: NatsStore, wanted: StreamsWanted): Promise<StreamsSeen> {
  const { manager } = store;
  const content = await info(manager, CONTENT_STREAM);
  if (content === undefined) {
    const replicas = await make(manager, wanted, wanted.replicas ?? 3);
    return { servers: serversSeen(store, await info(manager, CONTENT_STREAM)), replicas };
  }
  const present = content.config.num_replicas;
  const servers = serversSeen(store, content);
  const target = Math.max(present, wanted.replicas ?? (servers >= 3 ? 3 : 1));
  await ensureStreams(manager, { shards: wanted.shards, maxBytes: wanted.maxBytes, replicas: target });
  if (target > present) {
    for (const name of [...streamNames(wanted.shards), ...MAILDROP_STREAMS]) await addCopies(manager, name, target);
  }
  return { servers, replicas: target };
}

/** Deletes the streams and all mail in them. */
export async function deleteStreams({ manager }: NatsStore, shards: number): Promise<void> {
  for (const name of [...streamNames(shards), ...MAILDROP_STREAMS]) {
    if ((await info(manager, name)) !== undefined) await manager.streams.delete(name);
  }
}

/** Last sequence of each incoming log by shard. */
export async function incomingSequences({ manager }: NatsStore, shards: number): Promise<Map<number, number>> {
  const sequences = new Map<number, number>();
  for (let shard = 0; shard < shards; shard++) {
    const stream = await info(manager, incomingStream(shard));
    if (stream !== undefined) sequences.set(shard, stream.state.last_seq);
  }
  return sequences;
}
