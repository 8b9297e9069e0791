/** What the requests of commands have in common where they ask the stores. */
import type { Pool } from 'pg';
import { Unavailable } from '../clients/protocols.ts';
import type { ServiceContext } from '../server/context.ts';

/** Deadlock and serialisation failure: Postgres asks to try again. */
const TRY_AGAIN = new Set(['40P01', '40001']);
const ATTEMPTS = 5;
/** A NOTIFY carries less than 8000 octets; a queue id has at most 64. */
const IDS_PER_NOTIFY = 100;
const CHANNEL = 'postfleet_queue';

/** What goes wrong in a store is that it is away, but for what Postgres asks to repeat. */
export async function available<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (!TRY_AGAIN.has(code ?? '') || attempt === ATTEMPTS) throw new Unavailable(message, { cause: error });
    }
  }
}

export function database(context: ServiceContext): Promise<Pool> {
  return available(() => context.stores.postgres());
}

/** Tells qmgr that something is due. */
export async function notifyDue(pool: Pool): Promise<void> {
  await available(() => pool.query('select pg_notify($1, $2)', [CHANNEL, 'flush']));
}

/** Has qmgr forget what it has of these messages in memory. */
export async function notifyForget(pool: Pool, queueIds: readonly string[]): Promise<void> {
  for (let from = 0; from < queueIds.length; from += IDS_PER_NOTIFY) {
    const ids = queueIds.slice(from, from + IDS_PER_NOTIFY);
    await available(() => pool.query('select pg_notify($1, $2)', [CHANNEL, `delete ${ids.join(' ')}`]));
  }
}
