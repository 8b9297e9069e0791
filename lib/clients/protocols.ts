/**
 * The protocols between services, as TypeScript sees them: one interface per service in proto/postfleet/v1, each call
 * cancellable and without any trace of the transport behind it (a direct call, a worker-thread port, gRPC). Many calls
 * under way at once share messages on the wire; callers simply make them.
 *
 * A call rejects with `Unavailable` when nobody could be asked or the answer did not come. Whether the work was done is
 * then unknown.
 */
import type { CountReply, CountRequest } from './generated/postfleet/v1/anvil.ts';
import type { NoticeReply, NoticeRequest } from './generated/postfleet/v1/bounce.ts';
import type { SubmitReply, SubmitRequest } from './generated/postfleet/v1/cleanup.ts';
import type { DeliveryReply, DeliveryRequest } from './generated/postfleet/v1/delivery.ts';
import type { LookupFlags, LookupReply, LookupRequest } from './generated/postfleet/v1/proxymap.ts';
import type {
  ChangeReply,
  ChangeRequest,
  DeleteReply,
  DeleteRequest,
  FlushReply,
  FlushRequest,
  ListRequest,
  QueueItem,
  ReadPart,
  ReadRequest,
} from './generated/postfleet/v1/queue.ts';
import type { ResolveReply, ResolveRequest, RewriteRequest } from './generated/postfleet/v1/rewrite.ts';

export { NoticeKind } from './generated/postfleet/v1/bounce.ts';
export type { SubmitOptions } from './generated/postfleet/v1/cleanup.ts';
export { SubmitStatus } from './generated/postfleet/v1/cleanup.ts';
export type { DeliveryRecipient, RecipientStatus, StatusNotification } from './generated/postfleet/v1/delivery.ts';
export { DeliveryStatus } from './generated/postfleet/v1/delivery.ts';
export type { Client, ContentReference, Recipient } from './generated/postfleet/v1/envelope.ts';
export { Envelope } from './generated/postfleet/v1/envelope.ts';
export { LookupStatus } from './generated/postfleet/v1/proxymap.ts';
export { QueueChange } from './generated/postfleet/v1/queue.ts';
export type {
  ChangeReply,
  ChangeRequest,
  CountReply,
  CountRequest,
  DeleteReply,
  DeleteRequest,
  DeliveryReply,
  DeliveryRequest,
  FlushReply,
  FlushRequest,
  ListRequest,
  LookupFlags,
  LookupReply,
  LookupRequest,
  NoticeReply,
  NoticeRequest,
  QueueItem,
  ReadPart,
  ReadRequest,
  ResolveReply,
  ResolveRequest,
  RewriteRequest,
  SubmitReply,
  SubmitRequest,
};

/** The service could not be reached, or did not answer; whether it did the work is unknown. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** cleanup(8). A reply with status QUEUED means: in the incoming log, on disk. */
export interface Cleanup {
  submit(request: SubmitRequest, signal?: AbortSignal): Promise<SubmitReply>;
  /** `content` is consumed as it comes; when it throws, nothing was submitted and what was written is swept later. */
  submitLarge(request: SubmitRequest, content: AsyncIterable<Buffer>, signal?: AbortSignal): Promise<SubmitReply>;
}

/** trivial-rewrite(8). Replies stand in the order of the requests. */
export interface TrivialRewrite {
  rewrite(requests: RewriteRequest[], signal?: AbortSignal): Promise<string[]>;
  resolve(requests: ResolveRequest[], signal?: AbortSignal): Promise<ResolveReply[]>;
}

/** smtp(8), local(8), virtual(8), pipe(8), error(8), discard(8): a status for each recipient, never an exception. */
export interface DeliveryAgent {
  deliver(request: DeliveryRequest, signal?: AbortSignal): Promise<DeliveryReply>;
}

/** bounce(8): makes and submits the notices that are due for a message. */
export interface Bounce {
  notify(requests: NoticeRequest[], signal?: AbortSignal): Promise<NoticeReply[]>;
}

/** showq(8) and the requests of postqueue(1) and postsuper(1). */
export interface Queue {
  list(request: ListRequest, signal?: AbortSignal): AsyncIterable<QueueItem[]>;
  flush(request: FlushRequest, signal?: AbortSignal): Promise<FlushReply>;
  delete(request: DeleteRequest, signal?: AbortSignal): Promise<DeleteReply>;
  change(request: ChangeRequest, signal?: AbortSignal): Promise<ChangeReply>;
  read(request: ReadRequest, signal?: AbortSignal): AsyncIterable<ReadPart>;
}

/** anvil(8). */
export interface Anvil {
  count(requests: CountRequest[], signal?: AbortSignal): Promise<CountReply[]>;
}

/** proxymap(8). A failing table is a status of the reply, never an exception. */
export interface Proxymap {
  lookup(request: LookupRequest, signal?: AbortSignal): Promise<LookupReply>;
}
