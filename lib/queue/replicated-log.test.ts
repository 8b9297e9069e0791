/**
 * A log with three replicas whose servers are killed or stand still while two writers append, one of them most of the
 * time alone.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { freePort } from '../../test/support/context.ts';
import { type NatsServer, startNats } from '../../test/support/nats.ts';
import { Appender } from './append.ts';
import { decodeFrame, encodeFence, encodeFrame } from './frame.ts';
import { ensureStreams, incomingStream, incomingSubject } from './streams.ts';

const STREAM = incomingStream(0);
const NAMES = ['one', 'two', 'three'];

async function startCluster(): Promise<Map<string, NatsServer>> {
  const ports = await Promise.all(NAMES.map(() => freePort()));
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  const servers = NAMES.map(async (name, at) => {
    const cluster = `cluster { name: test, listen: "127.0.0.1:${ports[at]}", routes: [${routes}] }`;
    return [name, await startNats({ configuration: `server_name: ${name}\n${cluster}` })] as const;
  });
  return new Map(await Promise.all(servers));
}

/** The first result; the servers need a while to choose their leaders. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 30_000; ; await delay(100)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** What happens to the servers while frames are written. */
const TROUBLES: [string, (leader: NatsServer, followers: readonly NatsServer[]) => Promise<void>][] = [
  [
    'the leader of the log is killed',
    async (leader) => {
      await leader.kill();
      await delay(100);
      await leader.restart();
    },
  ],
  [
    // The leader has proposed what is not decided for longer than its writer waits, and is decided in the end.
    'those that follow the leader stand still',
    async (_leader, followers) => {
      for (const { process: server } of followers) process.kill(server.pid(), 'SIGSTOP');
      await delay(2500);
      for (const { process: server } of followers) process.kill(server.pid(), 'SIGCONT');
    },
  ],
];

async function toldAndStored(t: TestContext, trouble: (typeof TROUBLES)[number][1]): Promise<void> {
  const servers = await startCluster();
  t.after(() => Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]())));
  const connection = await connect({
    servers: [...servers.values()].map(({ url }) => url),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  t.after(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  await patiently(() => ensureStreams(manager, { shards: 1, replicas: 3, maxBytes: 0 }));
  const told = new Map<string, 'stored' | 'refused'>();
  const stop = new AbortController();
  t.after(() => stop.abort());
  const write = async (writer: number, wanted: () => boolean, pause: number): Promise<void> => {
    let fences = 0;
    const log = new Appender({
      connection,
      manager,
      stream: STREAM,
      subject: incomingSubject(0, `writer${writer}`),
      answerTimeout: 500,
      makeFence: () => encodeFence(writer, fences++).bytes,
      signal: stop.signal,
    });
    for (let n = 0; wanted(); n++) {
      const text = `writer ${writer} frame ${n}`;
      const { bytes } = encodeFrame([{ envelope: Buffer.from(text), content: [] }], writer, n);
      told.set(text, (await log.append(bytes)).kind);
      await delay(pause);
    }
  };
  let over = false;
  const later = Date.now() + 500;
  const before = () => !over || told.size < 300;
  const disturb = async (): Promise<void> => {
    while (Date.now() < later || told.size < 100) await delay(10);
    const { cluster } = await manager.streams.info(STREAM);
    const leader = servers.get(cluster?.leader ?? '');
    assert.ok(leader !== undefined);
    await trouble(
      leader,
      [...servers.values()].filter((server) => server !== leader),
    );
    over = true;
  };
  await Promise.all([write(1, before, 0), write(2, before, 70), disturb()]);

  const stored = new Map<string, number>();
  const { state } = await patiently(() => manager.streams.info(STREAM));
  for (let sequence = 1; sequence <= state.last_seq; sequence++) {
    const message = await patiently(() => manager.streams.getMessage(STREAM, { seq: sequence }));
    const decoded = decodeFrame(Buffer.from(message!.data));
    if (decoded.kind !== 'frame') throw new Error(decoded.kind);
    for (const { envelope } of decoded.frame.entries)
      stored.set(envelope.toString(), (stored.get(envelope.toString()) ?? 0) + 1);
  }
  for (const [text, kind] of told) assert.equal(stored.get(text) ?? 0, kind === 'stored' ? 1 : 0, text);
  assert.ok([...stored.keys()].every((text) => told.has(text)));
}

for (const [what, trouble] of TROUBLES)
  test(`what writers are told of their frames is so, though ${what}`, (t) => toldAndStored(t, trouble));
