/**
 * postsuper(1): deletes messages from the queue (-d), puts them on hold (-h), releases them (-H), or hands them to
 * cleanup(8) once more (-r): those with the ids given, with ids on standard input (-), or all (ALL); in all queues or in
 * those that are named.
 *
 * Asks showq(8) of the running instance. Ends with 1 after an error, EX_UNAVAILABLE where the instance cannot be reached;
 * the reason is one line on standard error, and so is the count of what was done.
 *
 * Known limits: -e and -f are refused. -p, -s and -S repair queue directories; there are none, so they do nothing. A
 * requeued message goes straight to cleanup(8), not by way of MAILDROP. Whoever may read the token of the instance may use
 * it.
 * @synopsis postsuper [-psSv] [-c config_dir] [-d queue_id] [-h queue_id] [-H queue_id] [-r queue_id] [queue …]
 * @see postsuper(1)
 */
import { createInterface } from 'node:readline';
import { type Queue, QueueChange } from '../../lib/clients/protocols.ts';
import { type CommandStreams, type ConnectQueue, connectQueue, runCommand } from '../../lib/command/queue-client.ts';
import { isQueueId } from '../../lib/mail/queue-id.ts';
import { type ExitCode, FatalError } from '../../lib/util/errors.ts';
import { getopt } from '../../lib/util/getopt.ts';

const USAGE =
  'usage: postsuper [-c config_dir] [-d queue_id (delete)] [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] [-S (redundant structure fix)] [-v (verbose)] [queue...]';

const ALL = 'ALL';
const STANDARD_INPUT = '-';
/** Queues of Postfix; those after the first four hold no messages. */
const QUEUES = ['incoming', 'active', 'deferred', 'hold', 'bounce', 'defer', 'trace', 'flush', 'maildrop', 'corrupt'];
/** Ids in one request. */
const BATCH = 500;

interface Operation {
  /** What it says of one message, and in front of the count. */
  readonly done: string;
  readonly counted: string;
  /** Where it looks when no queue is named. */
  readonly queues: ReadonlySet<string>;
  /** Resolves to the number of messages that it happened to. */
  run(queue: Queue, queueIds: string[]): Promise<number>;
}

function change(what: QueueChange): Operation['run'] {
  return async (queue, queueIds) => (await queue.change({ change: what, queueIds })).queueIds.length;
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  d: {
    done: 'removed',
    counted: 'Deleted',
    queues: new Set(['hold', 'incoming', 'active', 'deferred']),
    run: async (queue, queueIds) => (await queue.delete({ queueIds, all: false })).count,
  },
  h: {
    done: 'placed on hold',
    counted: 'Placed on hold',
    queues: new Set(['incoming', 'active', 'deferred']),
    run: change(QueueChange.HOLD),
  },
  H: {
    done: 'released from hold',
    counted: 'Released from hold',
    queues: new Set(['hold']),
    run: change(QueueChange.RELEASE),
  },
  r: {
    done: 'requeued',
    counted: 'Requeued',
    queues: new Set(['hold', 'incoming', 'active', 'deferred']),
    run: change(QueueChange.REQUEUE),
  },
};

interface Target {
  readonly operation: Operation;
  /** A queue id, "-" or "ALL". */
  readonly value: string;
}

interface Request {
  /** In their order on the command line. */
  readonly targets: readonly Target[];
  /** Empty where none is named. */
  readonly queues: ReadonlySet<string>;
  readonly configDirectory: string | undefined;
}

/** Runs the command; the result is its exit status. */
export function main(argv: string[], io: CommandStreams, connect: ConnectQueue = connectQueue): Promise<number> {
  return runCommand('postsuper', io, async () => {
    const request = parseRequest(argv, io);
    if (request.targets.length === 0) return 0;
    await using connection = await connect(request.configDirectory, io);
    const queue = connection.queue('showq');
    const counts = new Map<Operation, number>();
    for (const target of request.targets) {
      const count = await work(queue, target, request.queues, io);
      counts.set(target.operation, (counts.get(target.operation) ?? 0) + count);
    }
    for (const [{ counted }, count] of counts)
      io.stderr.write(`postsuper: ${counted}: ${count} message${count === 1 ? '' : 's'}\n`);
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
    if ('ef'.includes(letter)) throw failure(`-${letter} is not supported`);
  }
  for (const name of parsed.operands) if (!QUEUES.includes(name)) throw failure(`invalid directory name: ${name}`);
  return {
    targets: parsed.options.flatMap(({ letter, value }) => {
      const operation = OPERATIONS[letter];
      return operation === undefined ? [] : [{ operation, value }];
    }),
    queues: new Set(parsed.operands),
    configDirectory: parsed.options.findLast(({ letter }) => letter === 'c')?.value,
  };
}

async function work(
  queue: Queue,
  { operation, value }: Target,
  named: ReadonlySet<string>,
  io: CommandStreams,
): Promise<number> {
  const isDelete = operation === OPERATIONS.d;
  // One statement after the other on the server's side: nothing that arrives meanwhile is among them.
  if (value === ALL && isDelete && named.size === 0) return (await queue.delete({ queueIds: [], all: true })).count;
  const queues = named.size === 0 ? operation.queues : named;
  if (value === ALL) return runBatches(queue, operation, await idsInQueues(queue, queues));
  const restricted = named.size > 0 || operation.queues.size === 1;
  const chosen = (ids: AsyncIterable<string> | Iterable<string>): AsyncIterable<string> =>
    validIds(queue, ids, restricted ? queues : undefined, io);
  if (value === STANDARD_INPUT) return runBatches(queue, operation, chosen(idsFrom(io)));
  const count = await runBatches(queue, operation, chosen([value]));
  if (count > 0) io.stderr.write(`postsuper: ${value}: ${operation.done}\n`);
  return count;
}

async function runBatches(
  queue: Queue,
  operation: Operation,
  ids: AsyncIterable<string> | Iterable<string>,
): Promise<number> {
  let count = 0;
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) count += await operation.run(queue, batch);
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

/** The ids that are ids, and in one of the queues where it matters. */
async function* validIds(
  queue: Queue,
  ids: AsyncIterable<string> | Iterable<string>,
  queues: ReadonlySet<string> | undefined,
  io: CommandStreams,
): AsyncGenerator<string> {
  for await (const id of ids) {
    if (!isQueueId(id)) io.stderr.write(`postsuper: warning: invalid mail queue id: ${id}\n`);
    else if (queues === undefined) yield id;
    else {
      for await (const [item] of queue.list({ queueId: id })) if (item && queues.has(item.queueName)) yield id;
    }
  }
}

/** All of them before anything is done: what is requeued is in the queue again, and is not to be met a second time. */
async function idsInQueues(queue: Queue, queues: ReadonlySet<string>): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const items of queue.list({ queueId: '' })) {
    for (const { queueName, queueId } of items) if (queues.has(queueName)) ids.add(queueId);
  }
  return ids;
}
