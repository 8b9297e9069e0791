/**
 * showq(8): what is in the queue. Lists it in order of arrival, shows a message as it lies in the log, makes deferred mail
 * due, and deletes messages: the requests of postqueue(1), mailq(1), postcat(1) and postsuper(1).
 *
 * It keeps nothing itself, so any number may run. A message is listed from the moment at which qmgr(8) has taken it from
 * the incoming log, usually within milliseconds; until then it is safe, but not seen here.
 *
 * Logs `QUEUEID: removed` as postsuper for each message that is deleted on request.
 *
 * Limits: a message is shown as "active" once any of the first 100 recipients is being delivered to.
 * @see showq(8), postqueue(1), postsuper(1)
 */
import { createQueueCommands, QUEUE_COMMAND_PARAMETERS } from '../../lib/queue/queue-commands.ts';
import { rpcServer } from '../../lib/server/rpc-server.ts';

export const service = rpcServer({
  name: 'showq',
  parameters: QUEUE_COMMAND_PARAMETERS,
  async open(context) {
    return { queue: createQueueCommands(context) };
  },
});
