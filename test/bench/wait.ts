/** Waiting for conditions, with a bound. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/until.ts';

/** Whether the condition came to hold within `seconds`; looked at every `pause` milliseconds. */
export async function holdsWithin(
  seconds: number,
  condition: () => boolean | Promise<boolean>,
  pause = 20,
): Promise<boolean> {
  for (const deadline = Date.now() + seconds * 1000; !(await condition()); await delay(pause)) {
    if (Date.now() > deadline) return false;
  }
  return true;
}

/** Throws where something listens there already: the wrong system would be measured. */
export async function assertFree(port: number): Promise<void> {
  const server = createServer();
  try {
    await once(server.listen({ host: '127.0.0.1', port }), 'listening');
  } catch (error) {
    throw new Error(`port ${port} is taken: end what listens there, perhaps of a run that was killed`, {
      cause: error,
    });
  } finally {
    server.close();
  }
}

/** Until a server greets on that port. */
export async function waitForSmtp(port: number): Promise<void> {
  await until(`SMTP on port ${port}`, () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({ host: '127.0.0.1', port });
    socket.setTimeout(2000, () => socket.destroy());
    socket.once('data', () => {
      socket.end('QUIT\r\n');
      resolve(true);
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    return promise;
  });
}
