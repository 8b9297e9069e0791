/**
 * postsuper(1): deletes messages from the queue (-d queue_id, -d - for ids on standard input, -d ALL), in all queues or
 * in those that are named.
 *
 * Asks showq(8) of the running instance. Ends with 1 after an error, EX_UNAVAILABLE where the instance cannot be reached;
 * the reason is one line on standard error, and so is the count of what was deleted.
 *
 * Known limits: -e, -f, -h, -H and -r are refused. -p, -s and -S repair queue directories; there are none, so they do
 * nothing. Whoever may read the token of the instance may use it.
 * @see postsuper(1)
 */
import { createInterface } from 'node:readline';
import type { Queue } from '../../lib/clients/protocols.ts';
import { type CommandStreams, type ConnectQueue, connectQueue, runCommand } from '../../lib/command/queue-client.ts';
import { isQueueId } from '../../lib/mail/queue-id.ts';
import { type ExitCode, FatalError } from '../../lib/util/errors.ts';
import { getopt } from '../../lib/util/getopt.ts';

const USAGE =
  'usage: postsuper [-c config_dir] [-d queue_id (delete)] [-p (purge temporary files)] [-s (structure fix)] [-S (redundant structure fix)] [-v (verbose)] [queue...]';

const ALL = 'ALL';
const STANDARD_INPUT = '-';
/** Queues of Postfix; those after the first four hold no messages. */
const QUEUES = ['incoming', 'active', 'deferred', 'hold', 'bounce', 'defer', 'trace', 'flush', 'maildrop', 'corrupt'];
/** Ids in one request. */
const BATCH = 500;

interface Request {
  /** Queue ids, "-" and "ALL", in their order. */
  readonly targets: readonly string[];
  readonly queues: ReadonlySet<string>;
  readonly configDirectory: string | undefined;
}

/** Runs the command; the result is its exit status. */
export function main(argv: string[], io: CommandStreams, connect: ConnectQueue = connectQueue): Promise<number> {
  return runCommand('postsuper', io, async () => {
    const request = parseRequest(argv, io);
    if (request.targets.length === 0) return 0;
    await using connection = await connect(request.configDirectory, io);
    const count = await remove(connection.queue('showq'), request, io);
    io.stderr.write(`postsuper: Deleted: ${count} message${count === 1 ? '' : 's'}\n`);
    return 0;
  });
}

function failure(message: string): FatalError {
  return new FatalError(message, { exitCode: 1 as ExitCode });
}

function parseRequest(argv: readonly string[], io: CommandStreams): Request {
  const parsed = getopt(argv, 'c:d:e:f:h:H:pr:sSv');
  if ('problem' in parsed) {
    io.stderr.write(`postsuper: ${parsed.problem}\n`);
    throw failure(USAGE);
  }
  for (const { letter } of parsed.options) {
    if ('efhHr'.includes(letter)) throw failure(`-${letter} is not supported`);
  }
  for (const name of parsed.operands) if (!QUEUES.includes(name)) throw failure(`invalid directory name: ${name}`);
  return {
    targets: parsed.options.filter(({ letter }) => letter === 'd').map(({ value }) => value),
    queues: new Set(parsed.operands),
    configDirectory: parsed.options.findLast(({ letter }) => letter === 'c')?.value,
  };
}

async function remove(queue: Queue, { targets, queues }: Request, io: CommandStreams): Promise<number> {
  let count = 0;
  for (const target of targets) {
    if (target === ALL && queues.size === 0) count += (await queue.delete({ queueIds: [], all: true })).count;
    else if (target === ALL) count += await removeBatches(queue, idsInQueues(queue, queues));
    else if (target === STANDARD_INPUT) count += await removeBatches(queue, chosen(queue, idsFrom(io), queues, io));
    else {
      const removed = await removeBatches(queue, chosen(queue, [target], queues, io));
      if (removed > 0) io.stderr.write(`postsuper: ${target}: removed\n`);
      count += removed;
    }
  }
  return count;
}

async function removeBatches(queue: Queue, ids: AsyncIterable<string>): Promise<number> {
  let count = 0;
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) count += (await queue.delete({ queueIds: batch, all: false })).count;
    batch = [];
  };
  for await (const id of ids) {
    batch.push(id);
    if (batch.length === BATCH) await flush();
  }
  await flush();
  return count;
}

/** Ids from standard input: the first word of each line. */
async function* idsFrom(io: CommandStreams): AsyncGenerator<string> {
  for await (const line of createInterface({ input: io.stdin })) {
    const [id = ''] = line.trim().split(/\s+/, 1);
    if (id !== '') yield id;
  }
}

/** The ids that are valid, and in one of the queues where some are named. */
async function* chosen(
  queue: Queue,
  ids: AsyncIterable<string> | Iterable<string>,
  queues: ReadonlySet<string>,
  io: CommandStreams,
): AsyncGenerator<string> {
  for await (const id of ids) {
    if (!isQueueId(id)) io.stderr.write(`postsuper: warning: invalid mail queue id: ${id}\n`);
    else if (queues.size === 0) yield id;
    else {
      for await (const [item] of queue.list({ queueId: id })) if (item && queues.has(item.queueName)) yield id;
    }
  }
}

async function* idsInQueues(queue: Queue, queues: ReadonlySet<string>): AsyncGenerator<string> {
  for await (const items of queue.list({ queueId: '' })) {
    for (const { queueName, queueId } of items) if (queues.has(queueName)) yield queueId;
  }
}
