/**
 * kubectl-postfleet(1): a mail system on Kubernetes from the command line, as a plugin of kubectl: `kubectl postfleet queue`.
 *
 * Finds the MailServer by -n and -m, and the cluster as kubectl does. Commands about the queue, settings and tables are run in
 * a ready pod of the MailServer, which wants the right to create pods/exec there; status and report read objects.
 *
 * Ends with 64 for a wrong command line, 69 where the cluster or the MailServer is not to be had, else with the status of
 * the command. What went wrong is one line on standard error.
 * @synopsis kubectl postfleet [-n namespace] [-m mailserver] command [argument …]
 */
import { EX, FatalError } from '../../lib/util/errors.ts';
import { ReaderGone, writeTo } from '../../lib/util/write-stream.ts';
import { type Cluster, chooseMailServer } from './cluster.ts';
import { PLUGIN_COMMANDS } from './commands.ts';
import { commandHelp, overview } from './help.ts';
import { parseRequest, type Target, usage } from './options.ts';
import type { PluginIo } from './plugin-command.ts';

export type OpenCluster = (target: Target) => Cluster | Promise<Cluster>;

/** The real cluster; its library is loaded only when a command is about to be run. */
const openKubernetes: OpenCluster = async (target) => (await import('./kubernetes-cluster.ts')).openCluster(target);

/** Runs the plugin; the result is its exit status. */
export async function main(
  argv: readonly string[],
  io: PluginIo,
  open: OpenCluster = openKubernetes,
  now: () => number = Date.now,
): Promise<number> {
  try {
    return await run(argv, io, open, now);
  } catch (error) {
    if (error instanceof ReaderGone) return EX.OK;
    if (!(error instanceof FatalError)) throw error;
    const hint = error.exitCode === EX.USAGE ? '; "kubectl postfleet --help" says what there is' : '';
    io.stderr.write(`kubectl-postfleet: fatal: ${error.message}${hint}\n`);
    return error.exitCode;
  }
}

async function run(argv: readonly string[], io: PluginIo, open: OpenCluster, now: () => number): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) throw usage('a command is missing');
  if (name === '--help' || name === '-h' || name === 'help') {
    const about = PLUGIN_COMMANDS.find((candidate) => candidate.name === rest[0]);
    await writeTo(io.stdout, about === undefined ? overview(PLUGIN_COMMANDS) : commandHelp(about));
    return EX.OK;
  }
  const command = PLUGIN_COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined)
    throw usage(name.startsWith('-') ? 'options follow the command' : `"${name}" is no command`);
  const request = parseRequest(rest, command.options);
  if (request.help) {
    await writeTo(io.stdout, commandHelp(command));
    return EX.OK;
  }
  command.validate?.(request);
  const cluster = await open(request.target);
  const mailServer = await chooseMailServer(cluster, request.target.mailServer);
  return command.run({ request, cluster, mailServer, io, now: now() });
}
