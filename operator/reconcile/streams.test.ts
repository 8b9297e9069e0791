import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JetStreamApiError, type StreamConfig } from '@nats-io/jetstream';
import { CONTENT_STREAM, incomingStream } from '../../lib/queue/streams.ts';
import type { NatsStore } from './store-connections.ts';
import { keepStreams } from './streams.ts';

const SHARDS = 2;
const notFound = (): JetStreamApiError =>
  new JetStreamApiError({ code: 404, err_code: 10_059, description: 'stream not found' });

interface FakeNats {
  readonly store: NatsStore;
  /** Copies by stream. */
  readonly copies: () => Record<string, number>;
  /** Servers that NATS tells of. */
  servers: number;
  /** The stream whose next update gets no answer. */
  silent: string | undefined;
}

/** JetStream as far as the operator asks it: a cluster refuses more copies than it has servers. */
function fakeNats(): FakeNats {
  const streams = new Map<string, StreamConfig>();
  const infoOf = (name: string) => ({ config: streams.get(name)!, state: { last_seq: 0 } });
  const put = (name: string, config: Partial<StreamConfig>) => {
    if ((config.num_replicas ?? 1) > fake.servers)
      throw new JetStreamApiError({ code: 500, err_code: 10_074, description: 'replicas > 1 not supported' });
    streams.set(name, { max_age: 0, ...streams.get(name), ...config } as StreamConfig);
    return infoOf(name);
  };
  const fake: FakeNats = {
    servers: 1,
    silent: undefined,
    copies: () => Object.fromEntries([...streams].map(([name, { num_replicas }]) => [name, num_replicas])),
    store: {
      connection: {
        get info() {
          return { connect_urls: Array.from({ length: fake.servers }, (_, at) => `nats-${at}`) };
        },
      },
      manager: {
        streams: {
          info: async (name: string) => {
            if (!streams.has(name)) throw notFound();
            return infoOf(name);
          },
          add: async (config: StreamConfig) => put(config.name, config),
          update: async (name: string, config: Partial<StreamConfig>) => {
            if (name === fake.silent) {
              fake.silent = undefined;
              throw new Error('timeout');
            }
            return put(name, config);
          },
          async *list() {
            for (const name of streams.keys()) yield infoOf(name);
          },
        },
      },
    } as unknown as NatsStore,
  };
  return fake;
}

const wanted = (replicas?: number) => ({ shards: SHARDS, replicas, maxBytes: 0 });

test('a cluster that has grown, and an update without an answer: the next pass raises the rest', async () => {
  const nats = fakeNats();
  assert.deepEqual(await keepStreams(nats.store, wanted()), { servers: 1, replicas: 1 });
  nats.servers = 3;
  nats.silent = incomingStream(0);
  await assert.rejects(keepStreams(nats.store, wanted()), /timeout/);
  assert.equal(nats.copies()[CONTENT_STREAM], 3);
  assert.equal(nats.copies()[incomingStream(0)], 1);
  assert.deepEqual(await keepStreams(nats.store, wanted()), { servers: 3, replicas: 3 });
  assert.deepEqual([...new Set(Object.values(nats.copies()))], [3]);
});

test('a stream that has fewer copies than the others is what is told', async () => {
  const nats = fakeNats();
  await keepStreams(nats.store, wanted());
  nats.servers = 3;
  await nats.store.manager.streams.update(CONTENT_STREAM, { num_replicas: 3 });
  assert.deepEqual(await keepStreams(nats.store, wanted(1)), { servers: 3, replicas: 1 });
});

test('a server that is away for a moment costs no copies', async () => {
  const nats = fakeNats();
  nats.servers = 3;
  await keepStreams(nats.store, wanted());
  nats.servers = 2;
  assert.deepEqual(await keepStreams(nats.store, wanted()), { servers: 2, replicas: 3 });
});
