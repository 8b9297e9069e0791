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
/** Bits of trace_flags: sendmail -bv asks for a report of what would happen, -v for one of the first attempt. */
const TRACE_VERIFY_ONLY = 1;
const TRACE_REPORT = 2;

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
  /** Recipients that were given up because of their age, or by force. */
  readonly expired: number;
  /** Recipients whose failure, or whose report, the sender is to be told. */
  readonly untold: number;
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
  const expired = message.forcedExpire !== undefined || isExpired(age, envelope.sender, settings);
  const late = isLate(age, message.delayNotified, envelope.sender, settings);
  const statuses = new Map(reply.recipients.map((status) => [status.offset, status]));
  const done: RecipientKey[] = [];
  const deferred: Deferral[] = [];
  const bounceLog: BounceLogRow[] = [];
  let expirations = 0;
  let untold = 0;
  const verifies = (envelope.traceFlags & TRACE_VERIFY_ONLY) !== 0;
  const reports = (envelope.traceFlags & TRACE_REPORT) !== 0 && entry.attempts === 0;
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
    if (verifies) {
      // One look is all that was asked for: what cannot be told at present is not tried again.
      done.push(rowKey);
      const action = status?.status === DeliveryStatus.SENT ? 'deliverable' : 'undeliverable';
      bounceLog.push(logged(TRACE, action));
      untold++;
    } else if (status?.status === DeliveryStatus.SENT) {
      done.push(rowKey);
      // No action: the next hop took it upon itself to tell of success.
      const wanted = (recipient.dsnNotify & NOTIFY_SUCCESS) !== 0 && notification.action !== '';
      if (wanted || reports) {
        bounceLog.push(logged(TRACE, notification.action || 'relayed'));
        untold++;
      }
    } else if (status?.status === DeliveryStatus.BOUNCED || expired) {
      if (status?.status !== DeliveryStatus.BOUNCED) expirations++;
      done.push(rowKey);
      untold++;
      bounceLog.push(logged(BOUNCE, 'failed'));
      if (reports) bounceLog.push(logged(TRACE, 'failed'));
    } else {
      if (reports) {
        bounceLog.push(logged(TRACE, 'delayed'));
        untold++;
      }
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
    untold,
    late: delayed,
  };
}
