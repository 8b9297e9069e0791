/** `kubectl postfleet flush`: makes deferred mail due, by `postqueue -f`, `-i` or `-s` in a pod of the MailServer. */
import { isQueueId } from '../../lib/mail/queue-id.ts';
import { EX } from '../../lib/util/errors.ts';
import { usage } from './options.ts';
import type { PluginCommand } from './plugin-command.ts';
import { runRemote } from './remote-command.ts';

export const flush: PluginCommand = {
  name: 'flush',
  summary: 'try to deliver deferred mail at once',
  synopsis: '[ID… | --site DOMAIN]',
  help: `Makes all deferred mail due; with ids, only these messages; with --site, what waits for a domain, which has to be among
fast_flush_domains. Delivery itself is seen in the logs and the queue.

      --site DOMAIN    only mail for this domain`,
  options: { site: { type: 'string' } },
  validate(request) {
    if (request.text('site') !== undefined && request.operands.length > 0)
      throw usage('ids and --site exclude each other');
    for (const id of request.operands) if (!isQueueId(id)) throw usage(`"${id}" is no queue id`);
  },
  async run({ request, cluster, mailServer, io }) {
    const options = { cluster, mailServer: mailServer.metadata.name, stderr: io.stderr };
    const site = request.text('site');
    if (site !== undefined) return runRemote(options, { argv: ['postqueue', '-s', site] }, io.stdout);
    if (request.operands.length === 0) return runRemote(options, { argv: ['postqueue', '-f'] }, io.stdout);
    let worst: number = EX.OK;
    for (const id of request.operands) {
      worst = Math.max(worst, await runRemote(options, { argv: ['postqueue', '-i', id] }, io.stdout));
    }
    return worst;
  },
};
