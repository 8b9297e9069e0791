/**
 * What a command of the plugin is. A command is one file that exports one of these, and one line in commands.ts.
 */
import type { Readable, Writable } from 'node:stream';
import type { Cluster, MailServer } from './cluster.ts';
import type { OptionShape, Request } from './options.ts';

export interface PluginIo {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

export interface CommandContext {
  readonly request: Request;
  readonly cluster: Cluster;
  readonly mailServer: MailServer;
  readonly io: PluginIo;
  /** Milliseconds since 1970, for ages. */
  readonly now: number;
}

export interface PluginCommand {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Operands and own options, as after "kubectl postfleet NAME ". */
  readonly synopsis: string;
  /** The help of the command below its synopsis. */
  readonly help: string;
  readonly options: OptionShape;
  /** Says what is wrong with the request before a cluster is asked; throws FatalError. */
  validate?(request: Request): void;
  /** Resolves to the exit status. */
  run(context: CommandContext): Promise<number>;
}
