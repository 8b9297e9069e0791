/**
 * `kubectl postfleet report`: all that somebody who is asked for help wants to see, in one text: status, pods, events, settings, queue
 * by destination, remarkable log lines. A part that cannot be had says why; the others are there.
 *
 * Secrets are not in it: neither Secrets nor variables are read, and passwords in URLs are struck out. Addresses of mail are in it.
 */
import { Writable } from 'node:stream';
import { EX } from '../../lib/util/errors.ts';
import { printable } from '../../lib/util/log.ts';
import { writeTo } from '../../lib/util/write-stream.ts';
import type { Cluster, Pod } from './cluster.ts';
import type { CommandContext, PluginCommand } from './plugin-command.ts';
import { countDestinations, renderDestinations } from './queue.ts';
import { remoteOutput } from './remote-command.ts';
import { renderPods, renderStatus } from './status.ts';
import { age, renderTable } from './table.ts';
import { withoutPasswords } from './without-passwords.ts';

const LOG_LINES = 500;
const REMARKABLE_LINES = 20;
const EVENTS = 40;
const DESTINATIONS = 30;
const REMARKABLE = /\b(?:warning|error|fatal|panic):/;

interface Part {
  readonly name: string;
  readonly text: string;
}

export const report: PluginCommand = {
  name: 'report',
  summary: 'collect what somebody needs who is asked for help',
  synopsis: '',
  help: `Prints status, pods, events, settings that differ from the defaults, the queue by destination, and the last warnings and errors
of every pod. Secrets are left out; addresses of mail are not: read it before you pass it on.

With -o json: an object with a text for each part.`,
  options: {},
  async run(context) {
    const parts = await collect(context);
    const { request, io } = context;
    const text =
      request.output === 'json'
        ? `${JSON.stringify(Object.fromEntries(parts.map((part) => [part.name, part.text])), undefined, 2)}\n`
        : parts.map((part) => `== ${part.name}\n${part.text.trimEnd()}\n`).join('\n');
    await writeTo(io.stdout, withoutPasswords(text));
    return EX.OK;
  },
};

async function collect({ cluster, mailServer, now }: CommandContext): Promise<Part[]> {
  const { name } = mailServer.metadata;
  // What commands in pods complain about belongs to the part, not to the terminal.
  const options = { cluster, mailServer: name, stderr: new Writable({ write: (_chunk, _encoding, done) => done() }) };
  const pods = await cluster.pods(name).catch(() => []);
  const part = async (title: string, make: () => Promise<string> | string): Promise<Part> => {
    try {
      return { name: title, text: await make() };
    } catch (error) {
      return { name: title, text: `not to be had: ${error instanceof Error ? error.message : String(error)}` };
    }
  };
  return [
    await part('time', () => new Date(now).toISOString()),
    await part('status', () => renderStatus(mailServer, pods, now)),
    await part('specification', () => JSON.stringify(mailServer.spec, undefined, 2)),
    await part('pods', () => renderPods('', pods, now).trimStart()),
    await part('events', () => events(cluster, name, now)),
    await part('settings', async () => (await remoteOutput(options, { argv: ['postconf', '-n'] })).output),
    await part('services', async () => (await remoteOutput(options, { argv: ['postconf', '-M'] })).output),
    await part('queue by destination', async () => {
      const none = { queue: undefined, sender: undefined, recipient: undefined, ids: new Set<string>() };
      return renderDestinations((await countDestinations(options, none)).sorted().slice(0, DESTINATIONS), now);
    }),
    await part('remarkable log lines', () => remarkableLines(cluster, pods)),
  ];
}

async function events(cluster: Cluster, mailServer: string, now: number): Promise<string> {
  const rows = (await cluster.events(mailServer))
    .slice(-EVENTS)
    .map(({ time, type, reason, object, message, count }) => [
      age(now - Date.parse(time)),
      type,
      reason,
      object,
      count > 1 ? `${message} (${count} times)` : message,
    ]);
  return renderTable([['AGE', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE'], ...rows]);
}

async function remarkableLines(cluster: Cluster, pods: readonly Pod[]): Promise<string> {
  let text = '';
  for (const { name } of pods) {
    const log = await cluster.log(name, LOG_LINES).catch((error: unknown) => `error: no log: ${String(error)}`);
    const lines = log.split('\n').filter((line) => REMARKABLE.test(line));
    for (const line of lines.slice(-REMARKABLE_LINES)) text += `${name}: ${printable(line)}\n`;
  }
  return text === '' ? 'none\n' : text;
}
