/**
 * What each connection to the queue's database is told before anything else. Postgres keeps one plan for a statement that
 * is prepared once, made for the tables as they are then. For an empty queue, which is what a quiet server has, that is a
 * look at every row, and it stays so until the next analyze, however long the queue has become by then. A plan for each
 * execution knows how long it is, and costs a fraction of a millisecond; there are some dozens of them a second at most.
 */
import type { ClientBase } from 'pg';

export async function planEachTime(client: Pick<ClientBase, 'query'>): Promise<void> {
  await client.query('set plan_cache_mode = force_custom_plan');
}
