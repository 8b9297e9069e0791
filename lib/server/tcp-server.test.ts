import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { testContext } from '../../test/support/context.ts';
import { until } from '../../test/support/until.ts';
import type { Connection } from './connection.ts';
import { tcpServer } from './tcp-server.ts';
import { WAITING_LIMIT } from './waiting-clients.ts';

/** Seconds that what a test waits for may take. */
const LIMIT = 10;

/** A server that greets each client and serves it until it leaves, one at a time. */
async function oneAtATime(warnings: readonly string[] = []) {
  const context = await testContext({ name: 'smtpd', warnings, overrides: { processLimit: 1 } });
  const served: (number | undefined)[] = [];
  const server = tcpServer({
    name: 'smtpd',
    parameters: [],
    open: async () => ({
      async session(connection: Connection) {
        served.push(connection.remotePort);
        connection.write('220\r\n');
        const end = (): void => connection.destroy();
        await new Promise<void>((closed) =>
          connection.serve({ data: () => undefined, end, drain: () => undefined, closed }),
        );
      },
    }),
  });
  const running = await server.start(context.service);
  const clients: Socket[] = [];
  return {
    served,
    context,
    client: async () => {
      const socket = connect(context.service.endpoints[0]!);
      clients.push(socket.on('error', () => undefined));
      await once(socket, 'connect');
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of clients) socket.destroy();
      context.stop();
      await running[Symbol.asyncDispose]();
      await context[Symbol.asyncDispose]();
    },
  };
}

test('of the clients above the limit those that have left are not served; the others are, in their order', async () => {
  await using server = await oneAtATime();
  const first = await server.client();
  await until('the first session', () => server.served.length === 1, LIMIT);
  const [ended, cut, third, fourth] = [
    await server.client(),
    await server.client(),
    await server.client(),
    await server.client(),
  ];
  const expected = [first, third, fourth].map(({ localPort }) => localPort);
  ended.end();
  await once(ended.resume(), 'close');
  cut.resetAndDestroy();
  third.once('data', () => third.end());
  // The reset has been seen when what came after it has.
  const probe = await server.client();
  probe.end();
  await once(probe.resume(), 'close');
  first.end();
  await until('the others', () => server.served.length >= 3, LIMIT);
  assert.deepEqual(server.served, expected);
});

test('more clients wait than there is room for: the last are disconnected, with one warning', async () => {
  await using server = await oneAtATime([`${WAITING_LIMIT} clients wait for a session`]);
  await server.client();
  await until('the first session', () => server.served.length === 1, LIMIT);
  const waiting: Socket[] = [];
  for (let count = 0; count < WAITING_LIMIT; count++) waiting.push(await server.client());
  for (let count = 0; count < 2; count++) {
    const late = await server.client();
    await once(late.resume(), 'close');
  }
  assert.ok(waiting.every(({ destroyed }) => !destroyed));
  assert.equal(server.context.lines.length, 1);
});
