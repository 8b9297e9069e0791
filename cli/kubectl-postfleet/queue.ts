/** `kubectl postfleet queue`: what waits, as `postqueue -j` in a pod of the MailServer lists it. */
import { EX } from '../../lib/util/errors.ts';
import { writeTo } from '../../lib/util/write-stream.ts';
import { type Request, usage } from './options.ts';
import type { CommandContext, PluginCommand } from './plugin-command.ts';
import { DestinationCounts, matches, parseQueueItem, type QueueFilter, type QueueItem } from './queue-item.ts';
import { type RemoteOptions, remoteLines } from './remote-command.ts';
import { age, renderTable } from './table.ts';

const LIMIT = 100;
const QUEUES = ['incoming', 'active', 'deferred', 'hold', 'corrupt'];
const REASON_WIDTH = 80;

export const queue: PluginCommand = {
  name: 'queue',
  summary: 'list the messages that wait',
  synopsis: '[ID…] [--queue NAME] [--sender WHO] [--recipient WHO] [--limit N | --by-destination]',
  help: `Lists the queue in order of arrival: id, queue, age, size, sender, recipients and why delivery was put off.

      --queue NAME        only messages in ${QUEUES.join(', ')}
      --sender WHO        only messages from this address, or from addresses of this domain
      --recipient WHO     only messages to this address, or to addresses of this domain
      --limit N           at most N messages (${LIMIT}; 0 means all); the rest is counted
      --by-destination    count recipients by domain instead, most first, with the oldest and one reason

With -o json: one object a line for each message, as "postqueue -j" prints it.
Exit status: 0, also for an empty queue.`,
  options: {
    queue: { type: 'string' },
    sender: { type: 'string' },
    recipient: { type: 'string' },
    limit: { type: 'string' },
    'by-destination': { type: 'boolean' },
  },
  validate(request) {
    const name = request.text('queue');
    if (name !== undefined && !QUEUES.includes(name)) throw usage(`--queue ${name}: expected ${QUEUES.join(', ')}`);
    limitOf(request);
  },
  run: (context) => (context.request.flag('by-destination') ? showDestinations(context) : showMessages(context)),
};

function limitOf(request: Request): number {
  const text = request.text('limit') ?? String(LIMIT);
  if (!/^\d{1,9}$/.test(text)) throw usage(`--limit ${text}: expected a number`);
  return text === '0' ? Number.POSITIVE_INFINITY : Number(text);
}

function filterOf(request: Request): QueueFilter {
  return {
    queue: request.text('queue'),
    sender: request.text('sender'),
    recipient: request.text('recipient'),
    ids: new Set(request.operands),
  };
}

/** Everything in the queue that the request asks for, one by one; then the exit status of the listing. */
export async function* queueItems(options: RemoteOptions, filter: QueueFilter): AsyncGenerator<QueueItem, number> {
  const lines = remoteLines(options, { argv: ['postqueue', '-j'] });
  for (let next = await lines.next(); ; next = await lines.next()) {
    if (next.done === true) return next.value;
    if (next.value === '') continue;
    const item = parseQueueItem(next.value);
    if (matches(item, filter)) yield item;
  }
}

function remote({ cluster, mailServer, io }: CommandContext): RemoteOptions {
  return { cluster, mailServer: mailServer.metadata.name, stderr: io.stderr };
}

const HEADING = ['ID', 'QUEUE', 'AGE', 'SIZE', 'SENDER', 'RECIPIENTS', 'REASON'];

async function showMessages(context: CommandContext): Promise<number> {
  const { request, io, now } = context;
  const limit = limitOf(request);
  const json = request.output === 'json';
  const rows: string[][] = [];
  let count = 0;
  const items = queueItems(remote(context), filterOf(request));
  let status: number = EX.OK;
  for (let next = await items.next(); ; next = await items.next()) {
    if (next.done === true) {
      status = next.value;
      break;
    }
    if (++count > limit) continue;
    if (json) await writeTo(io.stdout, `${JSON.stringify(next.value)}\n`);
    else rows.push(messageRow(next.value, now));
  }
  if (status !== EX.OK || json) return status;
  if (count === 0) await writeTo(io.stdout, 'Mail queue is empty\n');
  else await writeTo(io.stdout, renderTable([HEADING, ...rows]));
  if (count > rows.length && rows.length > 0) {
    await writeTo(io.stdout, `${count - rows.length} more; --limit 0 shows all\n`);
  }
  return status;
}

function messageRow(item: QueueItem, now: number): string[] {
  const [first, ...others] = item.recipients;
  const recipients = `${first?.address ?? ''}${others.length === 0 ? '' : ` +${others.length}`}`;
  const reason = item.recipients.find(({ delay_reason: text }) => text !== undefined)?.delay_reason ?? '';
  return [
    item.queue_id,
    item.queue_name,
    age(now - item.arrival_time * 1000),
    String(item.message_size),
    item.sender === '' ? '<>' : item.sender,
    recipients,
    shortened(reason),
  ];
}

const shortened = (text: string): string => (text.length > REASON_WIDTH ? `${text.slice(0, REASON_WIDTH - 1)}…` : text);

/** The counts of the whole queue by destination. */
export async function countDestinations(options: RemoteOptions, filter: QueueFilter): Promise<DestinationCounts> {
  const counts = new DestinationCounts();
  for await (const item of queueItems(options, filter)) counts.add(item);
  return counts;
}

async function showDestinations(context: CommandContext): Promise<number> {
  const { request, io, now } = context;
  const counts = (await countDestinations(remote(context), filterOf(request))).sorted();
  const shown = counts.slice(0, limitOf(request));
  if (request.output === 'json') await writeTo(io.stdout, `${JSON.stringify(shown)}\n`);
  else if (counts.length === 0) await writeTo(io.stdout, 'Mail queue is empty\n');
  else await writeTo(io.stdout, renderDestinations(shown, now));
  return EX.OK;
}

export function renderDestinations(counts: ReturnType<DestinationCounts['sorted']>, now: number): string {
  const rows = counts.map(({ destination, recipients, deferred, oldest, reason }) => [
    destination,
    String(recipients),
    String(deferred),
    age(now - oldest * 1000),
    shortened(reason),
  ]);
  return renderTable([['DESTINATION', 'RECIPIENTS', 'DEFERRED', 'OLDEST', 'REASON'], ...rows]);
}
