/**
 * Parameters that exist because master.cf has a service of a name: `relay_destination_concurrency_limit` for the
 * delivery agent `relay`, `policy_time_limit` for a spawn service `policy`. Pure.
 */
import type { MasterEntry } from './master-cf.ts';
import { timeLimitParameter, transportParameters } from './parameters.ts';

/** Daemons whose services are delivery transports with parameters of their own; discard has nothing to schedule. */
const deliveryAgents = new Set(['error', 'lmtp', 'local', 'pipe', 'smtp', 'virtual']);
const commandRunners = new Set(['pipe', 'spawn']);

/** Name and default of each, in no particular order. */
export function serviceParameters(entries: readonly MasterEntry[]): Map<string, string> {
  const defaults = new Map<string, string>();
  for (const { name, command } of entries) {
    if (commandRunners.has(command))
      defaults.set(`${name}_${timeLimitParameter.suffix}`, `$${timeLimitParameter.fallback}`);
    if (!deliveryAgents.has(command)) continue;
    for (const [suffix, fallback] of transportParameters) defaults.set(`${name}_${suffix}`, `$${fallback}`);
  }
  return defaults;
}
