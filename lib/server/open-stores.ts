/**
 * Opens the connections of a process to NATS and Postgres on first use. A server that is away at the start is waited for,
 * with one warning; later each library reconnects by itself.
 *
 * Throws FatalError when an address is missing or wrong, the credentials are refused, or the patience is over.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import type { Configuration } from '../config/settings.ts';
import { readsIntegersAsNumbers } from '../queue/integers.ts';
import { planEachTime } from '../queue/sql/fresh-plans.ts';
import { EX, FatalError } from '../util/errors.ts';
import type { Log } from '../util/log.ts';
import { natsServers, withoutPassword } from './nats-servers.ts';
import { isAway } from './store-away.ts';
import type { Nats, Stores } from './stores.ts';

export const STORE_PARAMETERS = ['postfleet_nats_url', 'postfleet_postgres_url'] as const;

/** Connections of one process to Postgres; a fleet of many processes shares the server's limit. */
const POOL_SIZE = 8;

/** For how many milliseconds a server that is away is waited for; for ever where it is left out. */
export interface Patience {
  readonly nats?: number;
  readonly postgres?: number;
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly patience: number | undefined;
}

async function patiently<T>(
  what: string,
  url: string,
  log: Log,
  { signal, patience = Number.POSITIVE_INFINITY }: Waiting,
  attempt: () => Promise<T>,
): Promise<T> {
  let complained = false;
  const deadline = performance.now() + patience;
  for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
    signal.throwIfAborted();
    try {
      const result = await attempt();
      if (complained) log.info(`${what} answers`);
      return result;
    } catch (error) {
      const text = (error instanceof Error ? error.message : String(error)) || (error as { code?: string }).code;
      const where = `${what} at ${withoutPassword(url)}`;
      if (!isAway(error)) throw new FatalError(`${where}: ${text}`, { cause: error });
      if (performance.now() > deadline)
        throw new FatalError(`${where} does not answer (${text}): start it, or correct its address`, {
          cause: error,
          exitCode: EX.UNAVAILABLE,
        });
      // Who gives up soon says it once, then.
      if (!complained && patience === Number.POSITIVE_INFINITY)
        log.warning(`${where} does not answer (${text}); waiting for it`);
      complained = true;
      await delay(wait, undefined, { signal });
    }
  }
}

async function openNats(url: string, log: Log, waiting: Waiting): Promise<Nats> {
  if (url === '')
    throw new FatalError(
      'postfleet_nats_url is empty: set it to the address of the NATS server, e.g. nats://127.0.0.1:4222',
    );
  const connection: NatsConnection = await patiently('NATS', url, log, waiting, () =>
    connect({
      ...natsServers(url),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
      timeout: 5000,
      pingInterval: 5000,
      maxPingOut: 2,
    }),
  );
  const manager = await patiently('JetStream', url, log, waiting, () =>
    jetstreamManager(connection, { checkAPI: false }),
  );
  return { connection, manager, jetstream: jetstream(connection) };
}

readsIntegersAsNumbers();

async function openPostgres(url: string, log: Log, waiting: Waiting): Promise<pg.Pool> {
  if (url === '')
    throw new FatalError(
      'postfleet_postgres_url is empty: set it to the address of the database, e.g. postgres://user@127.0.0.1:5432/postfleet',
    );
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_SIZE,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    onConnect: planEachTime,
  });
  // A connection that breaks while idle is dropped by the pool; who needs one gets another, or the error. One that breaks
  // between two statements of whoever has it tells that one with the next statement.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  await patiently('Postgres', url, log, waiting, async () => {
    const client = await pool.connect();
    client.release();
  });
  return pool;
}

export class OpenStores implements Stores, AsyncDisposable {
  readonly #configuration: Configuration;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #patience: Patience;
  #nats: Promise<Nats> | undefined;
  #postgres: Promise<pg.Pool> | undefined;

  constructor(configuration: Configuration, log: Log, signal: AbortSignal, patience: Patience = {}) {
    this.#configuration = configuration;
    this.#log = log;
    this.#signal = signal;
    this.#patience = patience;
  }

  nats(): Promise<Nats> {
    const waiting = { signal: this.#signal, patience: this.#patience.nats };
    this.#nats ??= openNats(this.#configuration.text('postfleet_nats_url'), this.#log, waiting);
    return this.#nats;
  }

  postgres(): Promise<pg.Pool> {
    const waiting = { signal: this.#signal, patience: this.#patience.postgres };
    this.#postgres ??= openPostgres(this.#configuration.text('postfleet_postgres_url'), this.#log, waiting);
    return this.#postgres;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const nats = await this.#nats?.catch(() => undefined);
    await nats?.connection.close();
    await (await this.#postgres?.catch(() => undefined))?.end();
  }
}
