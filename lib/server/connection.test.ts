/** What a connection promises, by Node's socket and by its handle alike. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { type Connection, SocketConnection } from './connection.ts';
import { acceptHandles, handlesAreKnown } from './handle-connection.ts';

/** What happened to a connection, in order: bytes as text, the rest by name. */
class Recorder {
  readonly seen: string[] = [];
  #wake: (() => void) | undefined;

  note(what: string): void {
    this.seen.push(what);
    this.#wake?.();
  }

  async until(condition: (seen: readonly string[]) => boolean): Promise<void> {
    while (!condition(this.seen)) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

/** A server and one client of it. */
async function pair(kind: 'socket' | 'handle', options: { readonly unread?: boolean } = {}) {
  const accepted = Promise.withResolvers<Connection>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
    accepted.resolve(new SocketConnection(socket)),
  );
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  if (kind === 'handle') {
    assert.ok(handlesAreKnown(server), 'this Node has other handles');
    acceptHandles(server, accepted.resolve);
  }
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  client.on('error', () => undefined);
  if (options.unread !== true) client.resume();
  const connection = await accepted.promise;
  const recorder = new Recorder();
  return {
    client,
    connection,
    recorder,
    serve(data = (bytes: Buffer): void => recorder.note(bytes.toString('latin1'))): void {
      connection.serve({
        data,
        end: () => recorder.note('end'),
        drain: () => recorder.note('drain'),
        closed: () => recorder.note('closed'),
      });
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      connection.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Turns of the event loop in which what was sent would have been read. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** All that the client reads until the server ends. */
async function readAll(client: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  client.on('data', (piece: Buffer) => pieces.push(piece));
  await once(client, 'end');
  return Buffer.concat(pieces).toString('latin1');
}

for (const kind of ['socket', 'handle'] as const) {
  test(`${kind}: bytes come, an end comes after them, and what is written before it is destroyed arrives`, async () => {
    await using both = await pair(kind, { unread: true });
    const { client, connection, recorder } = both;
    both.serve();
    client.write('one');
    await recorder.until((seen) => seen.join('') === 'one');
    assert.equal(connection.remotePort, client.localPort);
    assert.equal(connection.localPort, client.remotePort);
    assert.deepEqual([connection.remoteAddress, connection.localAddress], ['127.0.0.1', '127.0.0.1']);
    client.end('two');
    await recorder.until((seen) => seen.join('') === 'onetwoend');
    const read = readAll(client);
    connection.write('text ä');
    connection.write(Buffer.from([0xff, 0]), () => {
      recorder.note('written');
      connection.destroy();
    });
    assert.equal(await read, Buffer.concat([Buffer.from('text ä'), Buffer.of(0xff, 0)]).toString('latin1'));
    await recorder.until((seen) => seen.includes('closed'));
    assert.deepEqual(recorder.seen.slice(-2), ['written', 'closed']);
  });

  test(`${kind}: what the client does not read waits, is counted, and its end is told`, async () => {
    await using both = await pair(kind, { unread: true });
    const { client, connection, recorder } = both;
    both.serve();
    const block = Buffer.alloc(1024 * 1024, 'x');
    let written = 0;
    while (connection.writableLength === 0) {
      connection.write(block);
      written += block.length;
    }
    assert.ok(connection.writableLength <= written);
    connection.write('the last', () => recorder.note('written'));
    let received = 0;
    let tail = '';
    client.on('data', (piece: Buffer) => {
      received += piece.length;
      tail = (tail + piece.toString('latin1')).slice(-8);
    });
    await recorder.until((seen) => seen.includes('drain') && seen.includes('written'));
    assert.equal(connection.writableLength, 0);
    while (received < written + 8) await once(client, 'data');
    assert.deepEqual([received, tail], [written + 8, 'the last']);
  });

  test(`${kind}: nothing is read while it is paused`, async () => {
    await using both = await pair(kind);
    const { client, connection, recorder } = both;
    both.serve((bytes) => {
      recorder.note(bytes.toString('latin1'));
      connection.pause();
    });
    client.write('one');
    await recorder.until((seen) => seen.length === 1);
    client.write('two');
    await turns();
    assert.deepEqual(recorder.seen, ['one']);
    connection.resume();
    await recorder.until((seen) => seen.length === 2);
    assert.deepEqual(recorder.seen, ['one', 'two']);
  });

  test(`${kind}: a client that resets its connection is gone, and what is written to it then is nobody's error`, async () => {
    await using both = await pair(kind);
    const { client, connection, recorder } = both;
    both.serve();
    client.write('x');
    await recorder.until((seen) => seen.length === 1);
    client.resetAndDestroy();
    await recorder.until((seen) => seen.includes('closed'));
    connection.write('nobody reads this');
    connection.resume();
    connection.destroy();
    assert.deepEqual(recorder.seen, ['x', 'closed']);
  });

  test(`${kind}: one that waits and leaves is told of; what one says early is there when it is served`, async () => {
    await using leaving = await pair(kind);
    const gone = new Promise<void>((resolve) => leaving.connection.wait(resolve));
    leaving.client.end();
    await gone;
    await using early = await pair(kind);
    early.connection.wait(() => early.recorder.note('gone'));
    early.client.write('early');
    await turns();
    early.serve();
    await early.recorder.until((seen) => seen.length === 1);
    early.client.write('later');
    await early.recorder.until((seen) => seen.length === 2);
    assert.deepEqual(early.recorder.seen, ['early', 'later']);
    await using brief = await pair(kind);
    brief.connection.wait(() => brief.recorder.note('gone'));
    brief.client.end('all of it');
    await turns();
    brief.serve();
    await brief.recorder.until((seen) => seen.length === 2);
    assert.deepEqual(brief.recorder.seen, ['all of it', 'end']);
  });

  test(`${kind}: what came early waits while it is paused, and an end comes once`, async () => {
    await using both = await pair(kind);
    const { client, connection, recorder } = both;
    connection.wait(() => recorder.note('gone'));
    client.write('early');
    await turns();
    both.serve();
    connection.pause();
    await turns();
    assert.deepEqual(recorder.seen, []);
    connection.resume();
    await recorder.until((seen) => seen.length === 1);
    client.end();
    await recorder.until((seen) => seen.length === 2);
    connection.pause();
    connection.resume();
    await turns();
    assert.deepEqual(recorder.seen, ['early', 'end']);
  });
}

test('handles share one buffer: what one connection was handed is gone with the next', async () => {
  await using both = await pair('handle');
  const { client, recorder } = both;
  const lent: Buffer[] = [];
  both.serve((bytes) => {
    lent.push(bytes);
    recorder.note(bytes.toString('latin1'));
  });
  client.write('first');
  await recorder.until((seen) => seen.length === 1);
  client.write('again');
  await recorder.until((seen) => seen.length === 2);
  assert.deepEqual(recorder.seen, ['first', 'again']);
  assert.equal(lent[0]?.toString('latin1'), 'again');
});
