/**
 * bounce(8): makes delivery status notifications. The per-message logs (bounce, delay and trace) are rows in Postgres,
 * written by qmgr(8) with the outcome of the delivery; this turns them into messages and submits those through cleanup(8).
 * It is registered under the names bounce, defer and trace of master.cf.
 *
 * A reply says `done` only when each notice that is due is in the incoming log, on disk: the rows may go then, and qmgr
 * removes them. Requests may be repeated at any time; each notice carries a key under which it happens once.
 *
 * Standards: RFC 3461, 3462, 3464 (DSN), 3834 (Auto-Submitted), 6533 (internationalised DSN).
 *
 * Logs `QUEUEID: sender non-delivery notification: NEWID` and its like for each notice, and warns when one cannot be
 * kept at present, or a notice to the postmaster is discarded because it could not be delivered.
 *
 * Limits: a notice tells of 500 recipients at most, a message with more failures gets several. Of the original's headers
 * 256 KiB are looked at. A message whose content cannot be read gets its notice when it can be.
 * @see bounce(8), bounce(5), postconf(5) notify_classes
 */
import type { NoticeReply, NoticeRequest } from '../../lib/clients/protocols.ts';
import { keyText } from '../../lib/queue/message-key.ts';
import { noticedMessages } from '../../lib/queue/sql/bounce-log.ts';
import { rpcServer } from '../../lib/server/rpc-server.ts';
import { Notifier } from './notify.ts';
import { BOUNCE_PARAMETERS, bounceSettings } from './settings.ts';

/** Notices under way at once for one request. */
const CONCURRENCY = 16;

export const service = rpcServer({
  name: 'bounce',
  parameters: BOUNCE_PARAMETERS,
  async open(context) {
    const notifier = new Notifier(context, bounceSettings(context.configuration, context.log));

    async function notify(requests: NoticeRequest[]): Promise<NoticeReply[]> {
      const pool = await context.stores.postgres();
      const keys = requests.map(({ log, sequence, offset }) => ({ log, sequence, entry: offset }));
      const found = await noticedMessages(pool, keys);
      const replies: NoticeReply[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let at = next++; at < requests.length; at = next++) {
          replies[at] = await notifier.notify(requests[at]!, found.get(keyText(keys[at]!)), pool).catch(unexpected);
        }
      };
      await Promise.all(Array.from({ length: Math.min(CONCURRENCY, requests.length) }, worker));
      return replies;
    }

    /** A store or cleanup is away: the request is repeated, and the others go on. */
    function unexpected(error: unknown): NoticeReply {
      const reason = error instanceof Error ? error.message : String(error);
      context.log.warning(`notification deferred: ${reason}`);
      return { done: false, queueId: '', reason };
    }

    return { bounce: { notify } };
  },
});
