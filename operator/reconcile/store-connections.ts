/**
 * The operator's own connections to the stores of MailServers: one each to NATS and Postgres, opened when first asked for,
 * closed when the addresses change or the MailServer is gone. A store that does not answer is an error of the reconcile that
 * asked, which comes again.
 */
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { readsIntegersAsNumbers } from '../../lib/queue/integers.ts';
import { natsServers } from '../../lib/server/nats-servers.ts';

const TIMEOUT_MS = 5000;

/** A store that does not answer, or refuses us. */
export class StoreAway extends Error {
  override readonly name = 'StoreAway';
}

export interface NatsStore {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
}

interface Entry {
  natsUrl: string;
  postgresUrl: string;
  nats: Promise<NatsStore> | undefined;
  postgres: pg.Pool | undefined;
}

readsIntegersAsNumbers();

export class StoreConnections implements AsyncDisposable {
  readonly #entries = new Map<string, Entry>();

  async #entry(key: string, natsUrl: string, postgresUrl: string): Promise<Entry> {
    const old = this.#entries.get(key);
    if (old?.natsUrl === natsUrl && old.postgresUrl === postgresUrl) return old;
    await this.release(key);
    const entry: Entry = { natsUrl, postgresUrl, nats: undefined, postgres: undefined };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Throws StoreAway. */
  async nats(key: string, natsUrl: string, postgresUrl: string): Promise<NatsStore> {
    const entry = await this.#entry(key, natsUrl, postgresUrl);
    entry.nats ??= openNats(natsUrl);
    try {
      const store = await entry.nats;
      if (!store.connection.isClosed()) return store;
      throw new Error('the connection is closed');
    } catch (error) {
      entry.nats = undefined;
      throw new StoreAway(`NATS: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  async postgres(key: string, natsUrl: string, postgresUrl: string): Promise<pg.Pool> {
    const entry = await this.#entry(key, natsUrl, postgresUrl);
    entry.postgres ??= openPool(postgresUrl);
    return entry.postgres;
  }

  async release(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    const nats = await entry?.nats?.catch(() => undefined);
    await nats?.connection.close();
    await entry?.postgres?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((key) => this.release(key)));
  }
}

async function openNats(url: string): Promise<NatsStore> {
  const connection = await connect({
    ...natsServers(url),
    timeout: TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 1000,
    pingInterval: 20_000,
    maxPingOut: 2,
  });
  try {
    return { connection, manager: await jetstreamManager(connection, { timeout: TIMEOUT_MS }) };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    idleTimeoutMillis: 60_000,
    connectionTimeoutMillis: TIMEOUT_MS,
    statement_timeout: 60_000,
    keepAlive: true,
  });
  // A connection that breaks while idle is dropped by the pool.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** What pg rejects with when the server is not there becomes StoreAway; whatever else is wrong, too, with its reason. */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreAway) throw error;
    const { message, code } = error as { message?: string; code?: string };
    throw new StoreAway(`Postgres: ${message || code || String(error)}`, { cause: error });
  }
}
