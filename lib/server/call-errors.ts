/**
 * What a caller hears where a call failed: UNAVAILABLE where somebody could not be asked (another service, a store), and
 * the caller may ask again; INTERNAL for an error of ours, which is logged with its stack and not told.
 *
 * Logs an error for what is ours; whoever keeps a store says that it is away.
 */
import { type CallContext, ServerError, type ServerMiddlewareCall, Status } from 'nice-grpc';
import { Unavailable } from '../clients/protocols.ts';
import type { Log } from '../util/log.ts';
import { isAway } from './store-away.ts';

function isCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** What goes over the wire for an error of a service. */
export function callError(error: unknown, log: Pick<Log, 'error'>): unknown {
  if (error instanceof ServerError || isCancelled(error)) return error;
  if (error instanceof Unavailable || isAway(error)) {
    const { message, code } = error as Error & { code?: string };
    return new ServerError(Status.UNAVAILABLE, message || (code ?? 'the service cannot do it at present'));
  }
  log.error(`a call failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return new ServerError(Status.INTERNAL, 'internal error');
}

/** A middleware that lets no other error out of a service. */
export function callErrors(log: Pick<Log, 'error'>) {
  return async function* <Request, Response>(call: ServerMiddlewareCall<Request, Response>, context: CallContext) {
    try {
      return yield* call.next(call.request, context);
    } catch (error) {
      throw callError(error, log);
    }
  };
}
