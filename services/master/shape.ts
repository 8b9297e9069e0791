/**
 * What the two shapes of an instance have in common: all services in one process (one-process.ts), or each a process of its
 * own (processes.ts).
 */
import type { Configuration } from '../../lib/config/settings.ts';
import type { ServiceDefinition } from '../../lib/server/service.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Child } from './child.ts';
import type { Instance } from './instance.ts';

export type ServiceTable = ReadonlyMap<string, () => Promise<ServiceDefinition>>;

export interface ShapeOptions {
  readonly configDirectory: string;
  readonly instance: Instance;
  readonly services: ServiceTable;
  /** The file that a session thread runs. */
  readonly threadFile: URL;
  /** The command that runs one service as a process: program and arguments before the service's name. */
  readonly serviceCommand: readonly string[];
  readonly log: Log;
  /** Aborted when the instance is wanted no longer: a start that is under way ends what it has begun and throws the reason. */
  readonly signal: AbortSignal;
}

export interface Shape extends AsyncDisposable {
  /** Entries of master.cf that were left out, and why. */
  readonly warnings: readonly string[];
  /** Rejects when something ended that cannot be started again. */
  readonly failed: Promise<never>;
  /** Child processes by name. */
  readonly children: ReadonlyMap<string, Child>;
  /**
   * Puts another configuration into force for what begins from here on. `parameters`: what the instance gives to all of
   * its processes and threads. Resolves to warnings; throws FatalError, and changes nothing, where a service cannot be
   * opened with it.
   */
  reload(configuration: Configuration, parameters: ReadonlyMap<string, string>): Promise<readonly string[]>;
  /** Ends what runs at once. */
  abort(): Promise<void>;
}
