/**
 * How long it takes until the shards of a killed qmgr have another owner, as Postgres shows it, and until mail of those
 * shards is delivered again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { shardOf } from '../../lib/queue/shard-hash.ts';
import { sinkDomain } from './configuration.ts';
import type { Fleet } from './fleet.ts';

export interface Takeover {
  readonly kind: string;
  readonly shards: readonly number[];
  /** Seconds from the kill until somebody else owned every one of them. */
  readonly seconds: number;
  /** Seconds from the kill until a delivery began for each that has a destination; undefined where none was seen. */
  readonly flowing: number | undefined;
}

const LIMIT = 30_000;

/** The shard of each sink's domain. */
export function shardsOfDomains(sinkPorts: readonly number[], shards: number): Map<string, number> {
  const rule = { shards, perRecipient: () => false, perTransport: () => false };
  return new Map(
    sinkPorts.map((port, at) => [
      sinkDomain(at),
      shardOf(rule, { transport: 'smtp', nexthop: `[127.0.0.1]:${port}`, recipient: '' }),
    ]),
  );
}

/** Shards that the process owns. */
export async function ownedBy(fleet: Fleet, pid: number): Promise<number[]> {
  const owners = await fleet.shardOwners();
  return owners.filter(({ owner, held }) => held && owner.startsWith(`${pid}-`)).map(({ shard }) => shard);
}

/** `lastBegan`: when the last delivery to a domain began that the sinks have taken. Times in milliseconds since 1970. */
export async function measureTakeover(
  fleet: Fleet,
  kind: string,
  killed: number,
  shards: readonly number[],
  domains: ReadonlyMap<string, number>,
  lastBegan: (domain: string) => number,
): Promise<Takeover> {
  const at = Date.now();
  const isTaken = async (): Promise<boolean> => {
    const owners = await fleet.shardOwners();
    return shards.every((shard) =>
      owners.some((row) => row.shard === shard && row.held && !row.owner.startsWith(`${killed}-`)),
    );
  };
  while (!(await isTaken())) {
    if (Date.now() - at > LIMIT) return { kind, shards, seconds: Number.POSITIVE_INFINITY, flowing: undefined };
    await delay(20);
  }
  const taken = Date.now();
  const wanted = shards.filter((shard) => [...domains.values()].includes(shard));
  const flows = (shard: number): boolean =>
    [...domains].some(([domain, of]) => of === shard && lastBegan(domain) >= taken);
  while (!wanted.every(flows)) {
    if (Date.now() - taken > LIMIT) return { kind, shards, seconds: (taken - at) / 1000, flowing: undefined };
    await delay(20);
  }
  return { kind, shards, seconds: (taken - at) / 1000, flowing: (Date.now() - at) / 1000 };
}
