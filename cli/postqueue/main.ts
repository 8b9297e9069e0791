/**
 * postqueue(1): shows the queue (-p, -j) and makes deferred mail due: all of it (-f), one message (-i), or what waits for
 * one site (-s), which must be among fast_flush_domains.
 *
 * Asks showq(8) and flush(8) of the running instance. Ends with EX_UNAVAILABLE and one line on standard error where that
 * cannot be reached, or the command line is wrong.
 *
 * Known limits: there are no queue files to look at while the mail system is down.
 * @synopsis postqueue [-v] [-c config_dir] -p | -j | -f | -i queue_id | -s site
 * @see postqueue(1)
 */
import { type Queue, Unavailable } from '../../lib/clients/protocols.ts';
import {
  type CommandStreams,
  type ConnectQueue,
  connectQueue,
  type QueueConnection,
  runCommand,
  systemDown,
} from '../../lib/command/queue-client.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { isQueueId } from '../../lib/mail/queue-id.ts';
import { DomainList } from '../../lib/tables/match-list.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { getopt } from '../../lib/util/getopt.ts';
import { writeTo } from '../../lib/util/write-stream.ts';
import { JsonListing, type Listing, TraditionalListing } from './listing.ts';

const USAGE = 'usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site';

/** What cannot be done while the mail system is down. */
const IMPOSSIBLE = {
  p: 'Queue report unavailable',
  j: 'Queue report unavailable',
  f: 'Cannot flush mail queue',
  i: 'Cannot flush mail queue',
  s: 'Cannot flush mail queue',
} as const;

interface Request {
  readonly action: 'f' | 'i' | 'j' | 'p' | 's';
  readonly value: string;
  readonly configDirectory: string | undefined;
}

/** Runs the command; the result is its exit status. */
export function main(argv: string[], io: CommandStreams, connect: ConnectQueue = connectQueue): Promise<number> {
  return runCommand('postqueue', io, async () => {
    const request = parseRequest(argv, io);
    try {
      await using connection = await connect(request.configDirectory, io);
      await run(request, connection, io);
    } catch (error) {
      if (error instanceof Unavailable) throw systemDown(error, IMPOSSIBLE[request.action]);
      throw error;
    }
    return EX.OK;
  });
}

function parseRequest(argv: readonly string[], io: CommandStreams): Request {
  const parsed = getopt(argv, 'c:fi:jps:v');
  if ('problem' in parsed) {
    io.stderr.write(`postqueue: ${parsed.problem}\n`);
    throw usage();
  }
  const actions = parsed.options.filter(({ letter }) => letter !== 'c' && letter !== 'v');
  const [action, ...others] = actions;
  if (action === undefined || others.length > 0 || parsed.operands.length > 0) throw usage();
  return {
    action: action.letter as Request['action'],
    value: action.value,
    configDirectory: parsed.options.findLast(({ letter }) => letter === 'c')?.value,
  };
}

function usage(): FatalError {
  return new FatalError(USAGE, { exitCode: EX.UNAVAILABLE });
}

async function run({ action, value }: Request, connection: QueueConnection, io: CommandStreams): Promise<void> {
  switch (action) {
    case 'p':
      return show(connection.queue('showq'), new TraditionalListing(), io);
    case 'j':
      return show(connection.queue('showq'), new JsonListing(), io);
    case 'f':
      await connection.queue('flush').flush({ queueId: '', site: '' });
      return;
    case 'i':
      if (!isQueueId(value)) {
        throw new FatalError(`Cannot flush queue ID - invalid name: "${value}"`, { exitCode: EX.USAGE });
      }
      await connection.queue('flush').flush({ queueId: value, site: '' });
      return;
    case 's':
      if (!(await isEligible(value, connection.configuration, io))) {
        const problem = `Flush service is not configured for destination "${value}"`;
        throw new FatalError(problem, { exitCode: EX.UNAVAILABLE });
      }
      await connection.queue('flush').flush({ queueId: '', site: value });
  }
}

async function show(queue: Queue, listing: Listing, io: CommandStreams): Promise<void> {
  for await (const items of queue.list({ queueId: '' })) {
    await writeTo(io.stdout, items.map((item) => listing.item(item)).join(''));
  }
  await writeTo(io.stdout, listing.end());
}

/** Is mail for the site flushed on request? */
async function isEligible(site: string, configuration: Configuration, io: CommandStreams): Promise<boolean> {
  const context = {
    directory: configuration.directory,
    warn: (text: string) => void io.stderr.write(`postqueue: warning: ${text}\n`),
    error: (text: string) => void io.stderr.write(`postqueue: error: ${text}\n`),
    signal: new AbortController().signal,
    parameter: (name: string) => (configuration.set(name) ? configuration.text(name) : undefined),
  };
  const name = 'fast_flush_domains';
  const parentDomains = configuration.list('parent_domain_matches_subdomains').includes(name);
  await using list = await DomainList.open(name, configuration.text(name), context, { parentDomains });
  return await list.matches(site);
}
