/**
 * One trace per message: a submission that brings none (of pickup(8), of a notice) gets it here, in the envelope, so that all
 * that becomes of the message goes on with it, whenever that is.
 */
import { type SubmitReply, type SubmitRequest, SubmitStatus } from '../../lib/clients/protocols.ts';
import type { Tracing } from '../../lib/server/tracing.ts';
import { type MaybePromise, promised } from '../../lib/util/maybe-promise.ts';

/** Does the work with a request that carries a trace, where traces are made at all. */
export function traced(
  tracing: Tracing,
  request: SubmitRequest,
  work: (request: SubmitRequest) => MaybePromise<SubmitReply>,
): MaybePromise<SubmitReply> {
  const { envelope } = request;
  if (envelope === undefined || envelope.traceparent !== '') return work(request);
  const span = tracing.start('cleanup', '', { 'messaging.message.id': envelope.queueId });
  if (span === undefined) return work(request);
  return promised(() => work({ ...request, envelope: { ...envelope, traceparent: span.traceparent } })).then(
    (reply) => {
      span.end(reply.status === SubmitStatus.QUEUED ? undefined : reply.reason);
      return reply;
    },
    (error: unknown) => {
      span.end(String(error));
      throw error;
    },
  );
}
