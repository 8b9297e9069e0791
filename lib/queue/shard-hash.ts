/**
 * Which shard a recipient belongs to: a hash of what qmgr(8) keeps apart, so that one qmgr sees all the mail for a
 * destination. cleanup's choice is a hint; qmgr decides at every activation.
 */
import { crc32 } from 'node:zlib';

export interface ShardRule {
  readonly shards: number;
  /** destination_recipient_limit of the transport is 1: each recipient is a destination. */
  readonly perRecipient: (transport: string) => boolean;
  /** A transport_rate_delay is set: the transport as a whole is the destination. */
  readonly perTransport: (transport: string) => boolean;
}

export function shardOf(
  rule: ShardRule,
  resolved: { readonly transport: string; readonly nexthop: string; readonly recipient: string },
): number {
  if (rule.shards === 1) return 0;
  const { transport, nexthop, recipient } = resolved;
  const destination = rule.perTransport(transport) ? '' : rule.perRecipient(transport) ? recipient : nexthop;
  return crc32(`${transport}\n${destination}`) % rule.shards;
}
