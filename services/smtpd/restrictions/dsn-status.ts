/**
 * Enhanced status codes in table results are written for one kind of address and may be used for another: a code about a
 * recipient makes no sense for a sender or a client. They are mapped to what says the same of the thing at hand
 * (RFC 3463 section 3.2), and the mapping is logged.
 */
import type { Log } from '../../../lib/util/log.ts';
import type { ReplyClass } from './verdict.ts';

/** X.1.n of a recipient, as said of a sender. */
const SENDER: Readonly<Record<string, string>> = { '1': '7', '2': '8', '3': '7', '4': '7', '5': '0', '6': '7' };
/** X.1.n of a sender, as said of a recipient. */
const RECIPIENT: Readonly<Record<string, string>> = { '7': '3', '8': '2' };

export function adaptStatus(status: string, replyClass: ReplyClass, log: Log): string {
  if (status.slice(1, 4) !== '.1.') return status;
  const detail = status.slice(4);
  const statusClass = status[0]!;
  let mapped = status;
  if (replyClass === 'Sender address') mapped = `${statusClass}.1.${SENDER[detail] ?? detail}`;
  else if (replyClass === 'Recipient address') mapped = `${statusClass}.1.${RECIPIENT[detail] ?? detail}`;
  else mapped = `${statusClass}.0.0`;
  if (mapped !== status) log.info(`mapping DSN status ${status} into ${replyClass} status ${mapped}`);
  return mapped;
}
