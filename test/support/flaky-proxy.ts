/**
 * A TCP proxy between a client and a server, for tests of answers that do not come: it can hold back what the server says,
 * or cut every connection.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface FlakyProxy extends AsyncDisposable {
  readonly port: number;
  /** From now on nothing that the server says reaches a client that was connected before. */
  swallowAnswers(): void;
  /** Cuts all connections; new ones are as good as ever. */
  cut(): void;
}

export async function flakyProxy(target: number): Promise<FlakyProxy> {
  const pairs = new Set<{ client: Socket; server: Socket; deaf: boolean }>();
  const listener = createServer((client) => {
    const server = connect(target, '127.0.0.1');
    const pair = { client, server, deaf: false };
    pairs.add(pair);
    const end = (): void => {
      client.destroy();
      server.destroy();
      pairs.delete(pair);
    };
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => {
      if (!pair.deaf) client.write(bytes);
    });
    for (const socket of [client, server]) socket.on('close', end).on('error', end);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const cut = (): void => {
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
  };
  return {
    port: address.port,
    swallowAnswers() {
      for (const pair of pairs) pair.deaf = true;
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
