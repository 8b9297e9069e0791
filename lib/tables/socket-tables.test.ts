import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { testTables } from '../../test/support/tables.ts';
import { TableError } from './table.ts';

/** A server that answers each chunk that arrives. */
async function serve(
  answer: (request: string, socket: Socket) => void,
  path?: string,
): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => answer(chunk.toString('latin1'), socket));
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const address = server.address();
  return {
    server,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a tcp table sends encoded keys and reads encoded results', async () => {
  const requests: string[] = [];
  await using server = await serve((request, socket) => {
    requests.push(request);
    if (request.startsWith('get known')) socket.write('200 some%20text\n');
    else if (request.startsWith('get slow')) socket.write('400 try%20later\n');
    else if (request.startsWith('get strange')) socket.write('hello\n');
    else socket.write('500 no such key\n');
  });
  await using tables = await testTables();
  const table = await tables.open(`tcp:127.0.0.1:${server.port}`);
  assert.equal(table.partialKeys, false);
  assert.equal(await table.lookup('Known'), 'some text');
  assert.equal(await table.lookup('a %\n'), undefined);
  assert.equal(requests[1], 'get a%20%25%0A\n');
  await assert.rejects(async () => await table.lookup('slow'), TableError);
  await assert.rejects(async () => await table.lookup('strange'), TableError);
  // Lookups that are asked together are answered each by its own reply.
  assert.deepEqual(await Promise.all(['known', 'x', 'known'].map((key) => table.lookup(key))), [
    'some text',
    undefined,
    'some text',
  ]);
});

test('a server that went away and came back is asked again', async () => {
  let connections = 0;
  const server = await serve((_request, socket) => {
    if (socket.writableEnded) return;
    connections += 1;
    socket.end('200 yes\n');
  });
  await using tables = await testTables();
  const table = await tables.open(`tcp:127.0.0.1:${server.port}`);
  assert.equal(await table.lookup('a'), 'yes');
  assert.equal(await table.lookup('a'), 'yes');
  assert.equal(connections, 2);
  await server[Symbol.asyncDispose]();
  await assert.rejects(async () => await table.lookup('a'), TableError);
});

test('a reply without end is cut off', async () => {
  await using server = await serve((_request, socket) => void socket.write('2'.repeat(10_000)));
  await using tables = await testTables();
  const table = await tables.open(`tcp:127.0.0.1:${server.port}`);
  await assert.rejects(async () => await table.lookup('a'), /too long/);
});

test('a socketmap table speaks netstrings over TCP and Unix-domain sockets', async () => {
  await using tables = await testTables();
  const answer = (request: string, socket: Socket): void => {
    const text = /^\d+:names (.*),$/s.exec(request)?.[1] ?? '';
    const reply = { known: 'OK some text', lost: 'TEMP come back', bad: 'PERM never' }[text] ?? 'NOTFOUND ';
    // In two pieces, as networks do.
    socket.write(`${reply.length}:${reply.slice(0, 3)}`);
    setImmediate(() => socket.write(`${reply.slice(3)},`));
  };
  const path = join(tables.folder, 'socket');
  await using inet = await serve(answer);
  await using unix = await serve(answer, path);
  assert.ok(unix.server.listening);
  for (const spec of [`socketmap:inet:127.0.0.1:${inet.port}:names`, `socketmap:unix:${path}:names`]) {
    const table = await tables.open(spec);
    assert.equal(await table.lookup('known'), 'some text');
    assert.equal(await table.lookup('unknown'), undefined);
    await assert.rejects(async () => await table.lookup('lost'), TableError);
    await assert.rejects(async () => await table.lookup('bad'), TableError);
  }
});
