/** One mail transaction (RFC 5321 section 3.3): from MAIL to the end of the content, RSET, or the end of the session. */
import type { Recipient } from '../../lib/clients/protocols.ts';
import type { TraceSpan } from '../../lib/server/tracing.ts';

export class Transaction {
  readonly sender: string;
  /** Empty until the message has one: it stays NOQUEUE in the log while no recipient was accepted. */
  queueId = '';
  /** Microseconds since 1970. */
  arrivalTime = 0;
  readonly recipients: Recipient[] = [];
  /** Recipients refused for being too many. */
  overshoot = 0;
  /** SIZE= of MAIL; 0 where it was not said. */
  declaredSize = 0;
  /** BODY= of MAIL: "7bit", "8bit" or empty. */
  encoding = '';
  smtputf8 = false;
  dsnEnvid = '';
  dsnRet = '';
  verpDelimiters = '';
  span: TraceSpan | undefined;

  constructor(sender: string) {
    this.sender = sender;
  }
}
