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

/** Those that exist of a list of streams. */
async function present(manager: JetStreamManager, names: readonly string[]): Promise<StreamInfo[]> {
  const found = await Promise.all(names.map((name) => info(manager, name)));
  return found.filter((one) => one !== undefined);
}

/** Servers of the cluster as far as they can be seen: those that NATS tells its clients of, and the peers of streams. */
function serversSeen({ connection }: NatsStore, streams: readonly StreamInfo[]): number {
  const told = connection.info?.connect_urls?.length ?? 0;
  const peers = streams.map(({ cluster }) => (cluster === undefined ? 0 : 1 + (cluster.replicas?.length ?? 0)));
  return Math.max(1, told, ...peers);
}

/** Makes the streams, with as many copies as there are servers for. Throws FatalError for streams that are not ours. */
async function make(manager: JetStreamManager, wanted: StreamsWanted, replicas: number): Promise<void> {
  const { shards, maxBytes } = wanted;
  try {
    await ensureStreams(manager, { shards, maxBytes, replicas });
  } catch (error) {
    if (replicas === 1 || wanted.replicas !== undefined) throw error;
    if (!(error instanceof JetStreamApiError) || !TOO_FEW_SERVERS.has(error.code)) throw error;
    await make(manager, wanted, 1);
  }
}

function streamNames(shards: number): string[] {
  const all = Array.from({ length: shards }, (_, shard) => [incomingStream(shard), deferredStream(shard)]);
  return [CONTENT_STREAM, ...all.flat(), ...MAILDROP_STREAMS];
}

const copies = ({ config }: StreamInfo): number => config.num_replicas;

/**
 * Makes and checks the streams; resolves to what there is. Every stream is looked at: an update may have ended half way, and
 * mail is as safe as the stream with the fewest copies.
 */
export async function keepStreams(store: NatsStore, wanted: StreamsWanted): Promise<StreamsSeen> {
  const { manager } = store;
  const names = streamNames(wanted.shards);
  const before = await present(manager, names);
  if (before.length === 0) {
    await make(manager, wanted, wanted.replicas ?? 3);
  } else {
    const target = wanted.replicas ?? Math.max(...before.map(copies), serversSeen(store, before) >= 3 ? 3 : 1);
    await ensureStreams(manager, { shards: wanted.shards, maxBytes: wanted.maxBytes, replicas: target });
    for (const { config } of before)
      if (config.num_replicas < target) await manager.streams.update(config.name, { num_replicas: target });
  }
  const streams = await present(manager, names);
  return { servers: serversSeen(store, streams), replicas: Math.min(...streams.map(copies)) };
}

/** Deletes the streams and all mail in them. */
export async function deleteStreams({ manager }: NatsStore, shards: number): Promise<void> {
  for (const { config } of await present(manager, streamNames(shards))) await manager.streams.delete(config.name);
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
