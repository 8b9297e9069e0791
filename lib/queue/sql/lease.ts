/**
 * Shard leases. All times are this server's: a qmgr never compares its clock with another's. Taking a shard raises its
 * epoch, so that whatever the former owner still writes as scheduling is refused.
 */
import type { ClientBase } from 'pg';

type Queryable = Pick<ClientBase, 'query'>;

export interface ShardRow {
  readonly shard: number;
  readonly epoch: number;
}

/** Makes the rows of the shards that do not have one yet. */
export async function createShards(client: Queryable, shards: number): Promise<void> {
  await client.query('insert into shard (shard) select generate_series(0, $1::int - 1) on conflict do nothing', [
    shards,
  ]);
}

/** An owner that lives, and how many shards it holds. */
export interface OwnerCount {
  readonly owner: string;
  readonly shards: number;
}

/**
 * Says that `owner` lives, renews what it holds, and resolves to the shards that it holds from now on and to the other
 * owners alive. One statement: a renewal is one round trip.
 */
export async function renewLeases(
  client: Queryable,
  owner: string,
  seconds: number,
): Promise<{ held: ShardRow[]; others: OwnerCount[] }> {
  const result = await client.query<{ held: ShardRow[] | null; others: OwnerCount[] | null }>({
    name: 'renew-leases',
    text: `with alive as (
             insert into shard_owner (owner, alive_until) values ($1, now() + make_interval(secs => $2))
             on conflict (owner) do update set alive_until = excluded.alive_until returning owner
           ), renewed as (
             update shard set lease_until = now() + make_interval(secs => $2)
              where owner = $1 and lease_until > now() returning shard, epoch
           ), counted as (
             select o.owner, count(s.shard)::int as shards
               from shard_owner o left join shard s on s.owner = o.owner and s.lease_until > now()
              where o.alive_until > now() and o.owner <> $1 group by o.owner
           )
           select (select json_agg(json_build_object('shard', shard, 'epoch', epoch)) from renewed) as held,
                  (select json_agg(json_build_object('owner', owner, 'shards', shards)) from counted) as others
             from alive`,
    values: [owner, seconds],
  });
  const row = result.rows[0]!;
  return { held: row.held ?? [], others: row.others ?? [] };
}

/** Takes up to `limit` shards whose lease has run out or was given up. */
export async function takeShards(
  client: Queryable,
  owner: string,
  seconds: number,
  limit: number,
): Promise<ShardRow[]> {
  const result = await client.query<ShardRow>({
    name: 'take-shards',
    text: `update shard s set owner = $1, epoch = s.epoch + 1, lease_until = now() + make_interval(secs => $2)
             from (select shard from shard where lease_until <= now() order by shard limit $3 for update skip locked) free
            where s.shard = free.shard
           returning s.shard, s.epoch`,
    values: [owner, seconds, limit],
  });
  return result.rows;
}

/** Gives shards up at once, for the next owner to take: those named, or all that the owner has. */
export async function releaseShards(
  client: Queryable,
  owner: string,
  shards: readonly number[] | undefined,
): Promise<void> {
  await client.query({
    name: 'release-shards',
    text: `update shard set lease_until = '-infinity', owner = null
            where owner = $1 and ($2::int[] is null or shard = any($2::int[]))`,
    values: [owner, shards ?? null],
  });
}

/** Takes the owner off the list, so that the others take its share. */
export async function forgetOwner(client: Queryable, owner: string): Promise<void> {
  await client.query(`delete from shard_owner where owner = $1 or alive_until < now() - interval '1 day'`, [owner]);
}
