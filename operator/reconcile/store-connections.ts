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
import { FatalError, PanicError } from '../../lib/util/errors.ts';

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

  /** Throws StoreAway; FatalError for an address that is none. */
  async nats(key: string, natsUrl: string, postgresUrl: string): Promise<NatsStore> {
    const entry = await this.#entry(key, natsUrl, postgresUrl);
    entry.nats ??= openNats(natsUrl);
    try {
      return await asking('NATS', async () => {
        const store = await entry.nats!;
        if (store.connection.isClosed()) throw new Error('the connection is closed');
        return store;
      });
    } catch (error) {
      entry.nats = undefined;
      throw error;
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

/** Mistakes of ours, and what already says what is wrong; an address that is none is somebody else's mistake. */
function speaksForItself(error: unknown): boolean {
  if (!(error instanceof Error) || (error as { code?: unknown }).code === 'ERR_INVALID_URL') return false;
  const kinds = [StoreAway, FatalError, PanicError, TypeError, RangeError, ReferenceError, SyntaxError];
  return kinds.some((kind) => error instanceof kind);
}

/** Whatever a store's client rejects with becomes StoreAway with the store's name and the reason. */
export async function asking<T>(store: 'NATS' | 'Postgres', work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (speaksForItself(error)) throw error;
    const { message, code } = error as { message?: string; code?: string };
    throw new StoreAway(`${store}: ${message || code || String(error)}`, { cause: error });
  }
}
