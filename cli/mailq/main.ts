/**
 * mailq(1): shows the queue, as `postqueue -p` does. Takes Sendmail's -C for the configuration directory, and lets its
 * other options pass, as scripts give them.
 * @synopsis mailq [-C config_dir] [option …]
 */
import { type CommandStreams, type ConnectQueue, connectQueue } from '../../lib/command/queue-client.ts';
import { main as postqueue } from '../postqueue/main.ts';

/** Runs the command; the result is its exit status. */
export function main(argv: string[], io: CommandStreams, connect: ConnectQueue = connectQueue): Promise<number> {
  const at = argv.findIndex((word) => word.startsWith('-C') || word.startsWith('-c'));
  const directory = at < 0 ? undefined : argv[at]!.length > 2 ? argv[at]!.slice(2) : argv[at + 1];
  return postqueue([...(directory === undefined ? [] : ['-c', directory]), '-p'], io, connect);
}
