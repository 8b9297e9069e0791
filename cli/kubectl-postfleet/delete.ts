/** `kubectl postfleet delete`: takes messages out of the queue, by `postsuper -d -` in a pod of the MailServer. */
import { Readable } from 'node:stream';
import { isQueueId } from '../../lib/mail/queue-id.ts';
import { usage } from './options.ts';
import type { PluginCommand } from './plugin-command.ts';
import { runRemote } from './remote-command.ts';

const STANDARD_INPUT = '-';

export const remove: PluginCommand = {
  name: 'delete',
  summary: 'delete messages from the queue',
  synopsis: '{ID… | - | --all --yes}',
  help: `Deletes messages for good: no notice goes to their senders. "-" reads ids from standard input, one a line:

  kubectl postfleet queue -j --sender spam.example | jq -r .queue_id | kubectl postfleet delete -

      --all    every message in the queue
      --yes    needed with --all`,
  options: { all: { type: 'boolean' }, yes: { type: 'boolean' } },
  validate(request) {
    const { operands } = request;
    const all = request.flag('all');
    if (all && operands.length > 0) throw usage('ids and --all exclude each other');
    if (all && !request.flag('yes')) throw usage('--all deletes every message in the queue: say --yes as well');
    if (operands.includes('ALL')) throw usage('--all --yes deletes every message');
    if (!all && operands.length === 0) throw usage('say which messages: ids, "-" or --all');
    for (const id of operands) if (id !== STANDARD_INPUT && !isQueueId(id)) throw usage(`"${id}" is no queue id`);
    if (operands.includes(STANDARD_INPUT) && operands.length > 1) throw usage('"-" stands alone');
  },
  run({ request, cluster, mailServer, io }) {
    const options = { cluster, mailServer: mailServer.metadata.name, stderr: io.stderr };
    if (request.flag('all')) return runRemote(options, { argv: ['postsuper', '-d', 'ALL'] }, io.stdout);
    // By standard input, for a command line has no room for thousands.
    const stdin =
      request.operands[0] === STANDARD_INPUT ? io.stdin : Readable.from(request.operands.map((id) => `${id}\n`));
    return runRemote(options, { argv: ['postsuper', '-d', STANDARD_INPUT], stdin }, io.stdout);
  },
};
