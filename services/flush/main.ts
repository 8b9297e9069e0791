/**
 * flush(8): delivery on request of what is deferred for one site or in one message: ETRN, postqueue -s and -i.
 *
 * Postfix keeps a log of queue ids for each eligible site, because looking through queue files is slow. Here the deferred
 * recipients of a site are found by one statement, so there is nothing to keep, refresh or purge:
 * fast_flush_refresh_time and fast_flush_purge_time have no effect. Which sites are eligible (fast_flush_domains) is for
 * those who ask to check, as in Postfix.
 * @see flush(8), ETRN_README
 */
import { createQueueCommands, QUEUE_COMMAND_PARAMETERS } from '../../lib/queue/queue-commands.ts';
import { rpcServer } from '../../lib/server/rpc-server.ts';

export const service = rpcServer({
  name: 'flush',
  parameters: QUEUE_COMMAND_PARAMETERS,
  async open(context) {
    return { queue: createQueueCommands(context) };
  },
});
