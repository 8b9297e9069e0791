/**
 * postsuper(1): deletes messages from the queue (-d), lets them be given up at the next attempt (-e, and -f, which also
 * releases them), puts them on hold (-h), releases them (-H), or hands them to cleanup(8) once more (-r): those with the ids
 * given, with ids on standard input (-), or all (ALL); in all queues or in those that are named.
 *
 * Asks showq(8) of the running instance. Ends with 1 after an error, EX_UNAVAILABLE where the instance cannot be reached;
 * the reason is one line on standard error, and so is the count of what was done.
 *
 * Known limits: -p, -s and -S repair queue directories; there are none, so they do nothing. A
 * requeued message goes straight to cleanup(8), not by way of MAILDROP. Whoever may read the token of the instance may use
 * it.
 * @synopsis postsuper [-psSv] [-c config_dir] [-d queue_id] [-e queue_id] [-f queue_id] [-h queue_id] [-H queue_id] [-r queue_id] [queue …]
 * @see postsuper(1)
 */
import { createInterface } from 'node:readline';
import { type Queue, QueueChange } from '../../lib/clients/protocols.ts';
import { type CommandStreams, type ConnectQueue, connectQueue, runCommand } from '../../lib/command/queue-client.ts';
import { isQueueId } from '../../lib/mail/queue-id.ts';
import { type ExitCode, FatalError } from '../../lib/util/errors.ts';
import { getopt } from '../../lib/util/getopt.ts';

const USAGE =
  'usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] [-S (redundant structure fix)] [-v (verbose)] [queue...]';

const ALL = 'ALL';
const STANDARD_INPUT = '-';
/** Queues of Postfix; those after the first four hold no messages. */
const QUEUES = ['incoming', 'active', 'deferred', 'hold', 'bounce', 'defer', 'trace', 'flush', 'maildrop', 'corrupt'];
/** Ids in one request. */
const BATCH = 500;

/** What happens to messages. */
interface Step {
  /** What is said of one message, and in front of the count. */
  readonly done: string;
  readonly counted: string;
  /** Resolves to the number of messages that it happened to. */
  run(queue: Queue, queueIds: string[]): Promise<number>;
}

/** What an option asks for. */
interface Operation {
  readonly steps: readonly Step[];
  /** Where it looks when no queue is named. */
  readonly queues: ReadonlySet<string>;
}

function change(what: QueueChange): Step['run'] {
  return async (queue, queueIds) => (await queue.change({ change: what, queueIds })).queueIds.length;
}

const EXPIRE: Step = { done: 'expired', counted: 'Force-expired', run: change(QueueChange.EXPIRE) };
const RELEASE: Step = {
  done: 'released from hold',
  counted: 'Released from hold',
  run: change(QueueChange.RELEASE),
};

/** Of what is given up alone: a server that does not know of that must not deliver it. */
const RELEASE_EXPIRED: Step = { ...RELEASE, run: change(QueueChange.RELEASE_EXPIRED) };

const EVERYWHERE: ReadonlySet<string> = new Set(['hold', 'incoming', 'active', 'deferred']);

const OPERATIONS: Readonly<Record<string, Operation>> = {
  d: {
    steps: [
      {
        done: 'removed',
        counted: 'Deleted',
        run: async (queue, queueIds) => (await queue.delete({ queueIds, all: false })).count,
      },
    ],
    queues: EVERYWHERE,
  },
  e: { steps: [EXPIRE], queues: EVERYWHERE },
  f: { steps: [EXPIRE, RELEASE_EXPIRED], queues: EVERYWHERE },
  h: {
    steps: [{ done: 'placed on hold', counted: 'Placed on hold', run: change(QueueChange.HOLD) }],
    queues: new Set(['incoming', 'active', 'deferred']),
  },
  H: { steps: [RELEASE], queues: new Set(['hold']) },
  r: { steps: [{ done: 'requeued', counted: 'Requeued', run: change(QueueChange.REQUEUE) }], queues: EVERYWHERE },
};

/** Messages that each step happened to, in the order of the report. */
type Counts = Map<Step, number>;

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
    const counts: Counts = new Map();
    for (const target of request.targets) {
      for (const step of target.operation.steps) counts.set(step, counts.get(step) ?? 0);
      await work(queue, target, request.queues, counts, io);
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
  counts: Counts,
  io: CommandStreams,
): Promise<void> {
  const { steps } = operation;
  // One statement after the other on the server's side: nothing that arrives meanwhile is among them.
  if (value === ALL && operation === OPERATIONS.d && named.size === 0) {
    add(counts, steps[0]!, (await queue.delete({ queueIds: [], all: true })).count);
    return;
  }
  const queues = named.size === 0 ? operation.queues : named;
  if (value === ALL) return runBatches(queue, steps, await idsInQueues(queue, queues), counts);
  const restricted = named.size > 0 || operation.queues.size === 1;
  const chosen = (ids: AsyncIterable<string> | Iterable<string>): AsyncIterable<string> =>
    validIds(queue, ids, restricted ? queues : undefined, io);
  if (value === STANDARD_INPUT) return runBatches(queue, steps, chosen(idsFrom(io)), counts);
  const own: Counts = new Map();
  await runBatches(queue, steps, chosen([value]), own);
  for (const [step, count] of own) {
    if (count > 0) io.stderr.write(`postsuper: ${value}: ${step.done}\n`);
    add(counts, step, count);
  }
}

function add(counts: Counts, step: Step, count: number): void {
  counts.set(step, (counts.get(step) ?? 0) + count);
}

async function runBatches(
  queue: Queue,
  steps: readonly Step[],
  ids: AsyncIterable<string> | Iterable<string>,
  counts: Counts,
): Promise<void> {
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) for (const step of steps) add(counts, step, await step.run(queue, batch));
    batch = [];
  };
  for await (const id of ids) {
    batch.push(id);
    if (batch.length === BATCH) await flush();
  }
  await flush();
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
