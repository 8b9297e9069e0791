import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiClient, RequestParts } from './api-client.ts';
import { aborted } from './backoff.ts';
import { Leader } from './leader.ts';

const TIMES = { leaseMs: 600, renewLimitMs: 300, retryMs: 20 };

/** An API server with one Lease; `hung` requests get no answer until their signal ends them. */
class FakeServer {
  #lease: { metadata: object; spec: { holderIdentity: string } } | undefined;
  #version = 0;
  readonly #hung = new Set<string>();

  hang(identity: string): void {
    this.#hung.add(identity);
  }

  get holder(): string | undefined {
    return this.#lease?.spec.holderIdentity;
  }

  client(identity: string): ApiClient {
    const request = async (method: string, _path: string, { body, signal }: RequestParts = {}): Promise<unknown> => {
      if (this.#hung.has(identity)) {
        await aborted(signal!);
        throw signal!.reason;
      }
      if (method === 'GET') return this.#lease ?? { metadata: {} };
      this.#version += 1;
      this.#lease = {
        ...(body as { spec: { holderIdentity: string } }),
        metadata: { resourceVersion: `${this.#version}` },
      };
      return this.#lease;
    };
    return { request } as unknown as ApiClient;
  }
}

function leader(server: FakeServer, identity: string, signal: AbortSignal) {
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warning: (line: string) => lines.push(line) };
  const options = { client: server.client(identity), namespace: 'post', identity, log, signal, ...TIMES };
  return { leader: new Leader(options as never), lines };
}

test('a leader whose connection hangs stops before another can take the lease', async () => {
  const server = new FakeServer();
  const stop = new AbortController();
  const first = leader(server, 'first', stop.signal);
  const second = leader(server, 'second', stop.signal);
  await first.leader.acquire();
  const held = first.leader.hold();
  const takenOver = second.leader.acquire().then(() => first.leader.lost.aborted);
  server.hang('first');
  assert.equal(await held, false);
  assert.equal(server.holder, 'first');
  assert.equal(first.leader.lost.aborted, true);
  assert.match(first.lines.at(-1)!, /the lease could not be renewed/);
  assert.equal(await takenOver, true);
  stop.abort();
  assert.equal(await second.leader.hold(), true);
});

test('the lease is given back when the work is done', async () => {
  const server = new FakeServer();
  const stop = new AbortController();
  const { leader: only } = leader(server, 'first', stop.signal);
  await only.acquire();
  stop.abort();
  assert.equal(await only.hold(async () => assert.equal(server.holder, 'first')), true);
  assert.equal(server.holder, '');
  assert.equal(only.lost.aborted, false);
});

test('work that does not end is cut off before the lease expires', async () => {
  const server = new FakeServer();
  const stop = new AbortController();
  const { leader: only } = leader(server, 'first', stop.signal);
  await only.acquire();
  stop.abort();
  assert.equal(await only.hold(() => aborted(only.lost)), true);
  assert.equal(server.holder, 'first');
});
