/**
 * From the reply of a delivery agent to what is written: facts, deferrals, and the lines of the bounce, delay and trace
 * logs that notices are made of. Pure.
 */
import { type DeliveryReply, DeliveryStatus, type StatusNotification } from '../../lib/clients/protocols.ts';
import type { BounceLogRow, Deferral, RecipientKey } from '../../lib/queue/sql/status.ts';
import { isExpired, isLate, retryDelay } from './defer.ts';
import type { Entry } from './message.ts';
import type { QmgrSettings } from './settings.ts';
import type { EntryOutcome } from './status.ts';

/** DSN NOTIFY bits (RFC 3461 section 4.1). */
const NOTIFY_SUCCESS = 2;
/** sendmail -bv and -v. */
const TRACE_REPORT = 3;

/** sendmail -bv: a report of what would happen, whatever that is. */
const TRACE_VERIFY_ONLY = 1;

const BOUNCE = 1;
const DELAY = 2;
const TRACE = 3;

const NOT_SAID: StatusNotification = {
  status: '4.3.0',
  action: 'delayed',
  reason: 'the delivery agent gave no status',
  diagnosticType: '',
  diagnosticText: '',
  remoteMta: '',
};

export interface Judgement {
  readonly outcome: EntryOutcome;
  /** Recipients that were given up because of their age. */
  readonly expired: number;
  /** Recipients whose failure the sender is to be told. */
  readonly bounced: number;
  /** A delay notice is due. */
  readonly late: boolean;
}

/** `nowSeconds`: seconds since 1970. */
export function judge(
  entry: Entry,
  reply: DeliveryReply,
  epoch: number,
  nowSeconds: number,
  settings: QmgrSettings,
): Judgement {
  const { message, recipients, queue } = entry;
  const { envelope, key, shard } = message;
  const age = Math.max(0, nowSeconds - envelope.arrivalTime / 1e6);
  const expired = isExpired(age, envelope.sender, settings);
  const late = isLate(age, message.delayNotified, envelope.sender, settings);
  const statuses = new Map(reply.recipients.map((status) => [status.offset, status]));
  const done: RecipientKey[] = [];
  const deferred: Deferral[] = [];
  const bounceLog: BounceLogRow[] = [];
  let expirations = 0;
  let bounced = 0;
  let delayed = false;

  for (const recipient of recipients) {
    const status = statuses.get(recipient.offset);
    const notification = status?.notification ?? NOT_SAID;
    const rowKey = { ...key, recipient: recipient.offset };
    const logged = (kind: BounceLogRow['kind'], action: string, code = notification.status): BounceLogRow => ({
      ...rowKey,
      kind,
      address: Buffer.from(recipient.address),
      originalAddress: Buffer.from(recipient.originalAddress),
      dsnOriginalRecipient: Buffer.from(recipient.dsnOriginalRecipient),
      dsnNotify: recipient.dsnNotify,
      status: code,
      action,
      reason: Buffer.from(notification.reason),
      diagnosticType: notification.diagnosticType,
      diagnosticText: Buffer.from(notification.diagnosticText),
      remoteMta: notification.remoteMta,
    });
    if (status?.status === DeliveryStatus.SENT) {
      done.push(rowKey);
      // No action: the next hop took it upon itself to tell of success.
      const wanted = (recipient.dsnNotify & NOTIFY_SUCCESS) !== 0 && notification.action !== '';
      if (wanted || (envelope.traceFlags & TRACE_REPORT) !== 0) {
        bounceLog.push(logged(TRACE, notification.action || 'relayed'));
      }
    } else if (status?.status === DeliveryStatus.BOUNCED || expired) {
      if (status?.status !== DeliveryStatus.BOUNCED) expirations++;
      done.push(rowKey);
      bounced++;
      bounceLog.push(logged((envelope.traceFlags & TRACE_VERIFY_ONLY) !== 0 ? TRACE : BOUNCE, 'failed'));
    } else {
      if (late) {
        bounceLog.push(logged(DELAY, 'delayed'));
        delayed = true;
      }
      deferred.push({
        ...rowKey,
        delay: retryDelay(age, settings),
        status: notification.status,
        reason: Buffer.from(notification.reason),
        remoteMta: notification.remoteMta,
        transport: queue.transportName,
        nexthop: queue.nexthop,
      });
    }
  }
  const single = message.single && done.length === 1 && bounceLog.length === 0 ? key : undefined;
  return {
    outcome: { shard, epoch, single, done: single === undefined ? done : [], deferred, bounceLog },
    expired: expirations,
    bounced,
    late: delayed,
  };
}
