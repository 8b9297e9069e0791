/**
 * A configuration that takes the place of one that is in use: read and checked as a whole before any service sees it.
 * Parameters that cannot change while the instance runs (its stores, its ports) keep their old value, and a warning names
 * them.
 */
import { FatalError } from '../util/errors.ts';
import { type ConfigurationReport, reportOn } from './check.ts';
import { Configuration } from './settings.ts';

/** What is opened once at the start. inet_interfaces and inet_protocols need a restart in Postfix too (postconf(5)). */
export const RESTART_PARAMETERS = [
  'inet_interfaces',
  'inet_protocols',
  'postfleet_http_listen',
  'postfleet_nats_monitor_url',
  'postfleet_nats_sync_interval',
  'postfleet_nats_url',
  'postfleet_port_map',
  'postfleet_postgres_url',
  'postfleet_replicas',
  'postfleet_rpc_address',
  'postfleet_rpc_listen',
  'postfleet_rpc_tls_directory',
  'postfleet_rpc_token_file',
  'postfleet_session_threads',
  'postfleet_shards',
  'postfleet_state_directory',
  'postfleet_stream_bytes',
] as const;

export interface Successor extends ConfigurationReport {
  /** Undefined where there are errors: the present one stays. */
  readonly configuration: Configuration | undefined;
  /** Old values that stay in force. */
  readonly held: ReadonlyMap<string, string>;
}

/** Reads the directory again. `environment`: what the present configuration was read with. Throws nothing for what is in the files. */
export function readSuccessor(present: Configuration, environment: ReadonlyMap<string, string>): Successor {
  let next: Configuration;
  try {
    next = Configuration.load(present.directory, { environment });
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return {
      configuration: undefined,
      held: new Map(),
      errors: [error.message],
      warnings: [],
      refusals: [],
      notices: [],
    };
  }
  const report = reportOn(next);
  if (report.errors.length > 0) return { configuration: undefined, held: new Map(), ...report };
  const held = new Map<string, string>();
  const warnings = [...report.warnings];
  for (const name of RESTART_PARAMETERS) {
    const old = present.text(name);
    if (next.text(name) === old) continue;
    held.set(name, old);
    warnings.push(`${next.placeOf(name)}: ${name} = ${next.text(name)}: needs a restart; "${old}" stays in force`);
  }
  return { ...report, configuration: next.withOverrides(held), held, warnings };
}
