/**
 * postcat(1): shows messages of the queue: envelope (-e), headers (-h), body (-b); all of them where none is asked for.
 *
 * Asks showq(8) of the running instance for the message as it lies in the log. Ends with 1 after an error, EX_UNAVAILABLE
 * where the instance cannot be reached; the reason is one line on standard error.
 *
 * Known limits: messages are not files here, so there is nothing to show without -q, and -d, -o, -r and -s, which are
 * about records in files, are refused. Recipients that are done are shown too: the envelope is as it was accepted.
 * @synopsis postcat [-behqv] [-c config_dir] queue_id …
 * @see postcat(1)
 */
import { Envelope, type Queue, type ReadPart } from '../../lib/clients/protocols.ts';
import { type CommandStreams, type ConnectQueue, connectQueue, runCommand } from '../../lib/command/queue-client.ts';
import { type ExitCode, FatalError } from '../../lib/util/errors.ts';
import { getopt } from '../../lib/util/getopt.ts';
import { writeTo } from '../../lib/util/write-stream.ts';
import { envelopeRecords, extractedRecords, showMessage, type ViewOptions } from './view.ts';

const USAGE =
  'usage: postcat [-b (body text)] [-c config_dir] [-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [queue_id(s)...]';

export interface PostcatOptions extends ViewOptions {
  readonly queue: boolean;
  readonly configDirectory: string | undefined;
  readonly operands: readonly string[];
}

/** Throws FatalError for a wrong command line. */
export function parsePostcatOptions(argv: readonly string[], io: Pick<CommandStreams, 'stderr'>): PostcatOptions {
  const parsed = getopt(argv, 'bc:dehoqrs:v');
  if ('problem' in parsed) {
    io.stderr.write(`postcat: ${parsed.problem}\n`);
    throw failure(USAGE);
  }
  const given = new Set(parsed.options.map(({ letter }) => letter));
  for (const letter of ['d', 'o', 'r', 's']) {
    if (given.has(letter)) throw failure(`-${letter} is about records in files: messages are not files here`);
  }
  const all = !given.has('b') && !given.has('e') && !given.has('h');
  return {
    envelope: all || given.has('e'),
    header: all || given.has('h'),
    body: all || given.has('b'),
    queue: given.has('q'),
    configDirectory: parsed.options.findLast(({ letter }) => letter === 'c')?.value,
    operands: parsed.operands,
  };
}

function failure(message: string): FatalError {
  return new FatalError(message, { exitCode: 1 as ExitCode });
}

/** Runs the command; the result is its exit status. */
export function main(argv: string[], io: CommandStreams, connect: ConnectQueue = connectQueue): Promise<number> {
  return runCommand('postcat', io, async () => {
    const options = parsePostcatOptions(argv, io);
    if (!options.queue || options.operands.length === 0) {
      throw failure('messages are not files here: specify -q and queue ids');
    }
    await using connection = await connect(options.configDirectory, io);
    const queue = connection.queue('showq');
    for (const queueId of options.operands) await show(queue, queueId, options, io);
    return 0;
  });
}

async function show(queue: Queue, queueId: string, options: ViewOptions, io: CommandStreams): Promise<void> {
  const parts = queue.read({ queueId })[Symbol.asyncIterator]();
  const first = await parts.next();
  if (first.done === true) throw failure(`open queue file ${queueId}: No such file or directory`);
  const envelope = Envelope.decode(first.value.envelope);
  const view = {
    name: `${await queueName(queue, queueId)}/${queueId}`,
    records: envelopeRecords(envelope),
    content: content(parts),
    extracted: extractedRecords(envelope),
  };
  for await (const piece of showMessage(view, options)) await writeTo(io.stdout, piece);
}

async function* content(parts: AsyncIterator<ReadPart>): AsyncGenerator<Buffer> {
  for (let part = await parts.next(); part.done !== true; part = await parts.next()) yield part.value.content;
}

async function queueName(queue: Queue, queueId: string): Promise<string> {
  for await (const [item] of queue.list({ queueId })) if (item !== undefined) return item.queueName;
  return 'incoming';
}
