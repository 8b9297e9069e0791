/** The end of the content, by DATA or BDAT: last restrictions, submission, and the reply that promises to keep it. */
import { type SubmitReply, SubmitStatus, Unavailable } from '../../lib/clients/protocols.ts';
import type { Content } from './content.ts';
import { ContentAborted } from './content.ts';
import { resetTransaction } from './housekeeping.ts';
import { logAction, type MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';
import { makeRequest, replyToSubmit } from './submit.ts';
import type { Transaction } from './transaction.ts';

/** The refusal of content for what it is, before anybody else looks at it; the transaction ends with it. */
export function refuseContent(
  session: Session,
  command: 'DATA' | 'BDAT',
  content: Content,
  sawBareNewline: boolean,
): string | undefined {
  const { settings, subject, transaction } = session;
  if (transaction === undefined) return undefined;
  subject.stage = command;
  const bare = sawBareNewline && session.refusesBareNewline();
  if (content.tooLarge) return refused(session, transaction, '552 5.3.4 Error: message file too big');
  if (!bare) return undefined;
  content.abort('bare newline');
  const reply = `${settings.bareNewlineRejectCode} 5.5.2 ${settings.myhostname} Error: bare <LF> received`;
  return refused(session, transaction, reply);
}

/** Submits what was received, and forgets the transaction. `chunked` is what the reply says of its size. */
export function finishMessage(
  session: Session,
  command: 'DATA' | 'BDAT',
  content: Content,
  sawBareNewline: boolean,
  chunked = '',
): MaybePromise<string> {
  const { subject, context } = session;
  const { transaction } = session;
  if (transaction === undefined) throw new TypeError('end of message without a transaction');
  const ended = performance.now();
  const unwanted = refuseContent(session, command, content, sawBareNewline);
  if (unwanted !== undefined) return unwanted;
  const submit = (refusal: string | undefined): MaybePromise<string> => {
    if (refusal !== undefined) {
      content.abort('refused');
      return finished(session, transaction, refusal, ended);
    }
    return submitted(session, transaction, content, chunked).then((reply) =>
      finished(session, transaction, reply, ended),
    );
  };
  const refusal = context.policy.endOfData(subject);
  return refusal instanceof Promise ? refusal.then(submit) : submit(refusal);
}

async function submitted(
  session: Session,
  transaction: Transaction,
  content: Content,
  chunked: string,
): Promise<string> {
  const { context, subject } = session;
  try {
    const body = content.finish();
    let reply: SubmitReply;
    if (Buffer.isBuffer(body)) {
      if (subject.actions.discard) return `250 2.0.0 Ok: ${chunked}queued as ${transaction.queueId}`;
      const request = makeRequest(context, subject, transaction);
      request.content = body;
      request.envelope!.contentSize = body.length;
      reply = await context.cleanup().submit(request, context.signal);
    } else reply = await body;
    if (reply.status === SubmitStatus.QUEUED) context.metrics.accepted();
    return replyToSubmit(reply, transaction.queueId, chunked);
  } catch (error) {
    if (error instanceof ContentAborted) return '451 4.3.0 Error: queue file write error';
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof Unavailable)
      context.log.warning(`${transaction.queueId}: problem talking to service cleanup: ${why}`);
    else context.log.error(`${transaction.queueId}: submission failed: ${why}`);
    return '451 4.3.0 Error: queue file write error';
  }
}

function refused(session: Session, transaction: Transaction, reply: string): string {
  logAction(session.context.log, session.subject, 'reject', reply);
  return finished(session, transaction, reply, performance.now());
}

/** Everything that a message's end means for the session. */
function finished(session: Session, transaction: Transaction, reply: string, ended: number): string {
  const good = reply.startsWith('2');
  const { context } = session;
  context.metrics.replied(performance.now() - ended);
  if (good) {
    // Limits are there for clients that do nothing but make errors.
    session.errors.reset();
  }
  transaction.span?.end(good ? undefined : reply);
  transaction.span = undefined;
  if (session.transaction === transaction) resetTransaction(session);
  return reply;
}
