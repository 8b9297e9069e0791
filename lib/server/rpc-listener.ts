/**
 * The gRPC server of a process: makes the implementations of one service callable by others. Every call must carry the
 * fleet's token; a call without it is refused before anything of it is read.
 *
 * Logs a call that failed by an error of ours. Throws FatalError where it cannot listen.
 */
import { timingSafeEqual } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { ServerCredentials } from '@grpc/grpc-js';
import { type CallContext, createServer, type Server, ServerError, type ServerMiddlewareCall, Status } from 'nice-grpc';
import { AnvilServiceDefinition } from '../clients/generated/postfleet/v1/anvil.ts';
import { BounceServiceDefinition } from '../clients/generated/postfleet/v1/bounce.ts';
import { CleanupServiceDefinition, type SubmitPart } from '../clients/generated/postfleet/v1/cleanup.ts';
import { DeliveryServiceDefinition } from '../clients/generated/postfleet/v1/delivery.ts';
import { HealthServiceDefinition } from '../clients/generated/postfleet/v1/health.ts';
import { ProxymapServiceDefinition } from '../clients/generated/postfleet/v1/proxymap.ts';
import { QueueServiceDefinition } from '../clients/generated/postfleet/v1/queue.ts';
import { RewriteServiceDefinition } from '../clients/generated/postfleet/v1/rewrite.ts';
import { MESSAGE_LIMIT, TOKEN_HEADER } from '../clients/grpc.ts';
import { servePipeline } from '../clients/pipeline.ts';
import { EX, FatalError } from '../util/errors.ts';
import type { Log } from '../util/log.ts';
import { callError, callErrors } from './call-errors.ts';
import type { Implementation } from './service.ts';

export interface RpcListenerOptions {
  /** "unix:/path" or "host:port". */
  readonly address: string;
  readonly token: string;
  readonly implementation: Implementation;
  /** Names of the services of this process that would not do their work. */
  readonly notReady?: () => Promise<string[]>;
  readonly log: Log;
  /** Left out: calls are not encrypted. */
  readonly credentials?: ServerCredentials | undefined;
  /** Milliseconds that calls under way have at the end. */
  readonly grace?: number;
}

const DEFAULT_GRACE = 2000;

function authenticated(token: string) {
  const expected = Buffer.from(token);
  return async function* <Request, Response>(call: ServerMiddlewareCall<Request, Response>, context: CallContext) {
    const given = Buffer.from(context.metadata.get(TOKEN_HEADER) ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new ServerError(Status.UNAUTHENTICATED, 'the token of this fleet is missing or wrong');
    }
    return yield* call.next(call.request, context);
  };
}

async function* contentOf(parts: AsyncIterator<SubmitPart>): AsyncGenerator<Buffer> {
  for (let next = await parts.next(); next.done !== true; next = await parts.next()) yield next.value.content;
}

function addServices(
  server: Server,
  { implementation, notReady, log }: RpcListenerOptions,
  draining: AbortSignal,
): void {
  const failed = (error: unknown): void => void callError(error, log);
  const serving = { failed, draining };
  const { cleanup, rewrite, bounce, queue, anvil, proxymap, delivery } = implementation;
  server.add(HealthServiceDefinition, { check: async () => ({ notReady: (await notReady?.()) ?? [] }) });
  if (cleanup !== undefined) {
    server.add(CleanupServiceDefinition, {
      submit: (batches) =>
        servePipeline(batches, { ...serving, handle: (request, signal) => cleanup.submit(request, signal) }),
      async submitLarge(parts, context) {
        const pieces = parts[Symbol.asyncIterator]();
        const first = await pieces.next();
        if (first.done === true || first.value.request === undefined)
          throw new ServerError(Status.INVALID_ARGUMENT, 'the first part has no request');
        return cleanup.submitLarge(first.value.request, contentOf(pieces), context.signal);
      },
    });
  }
  if (delivery !== undefined) {
    server.add(DeliveryServiceDefinition, {
      deliver: (batches) =>
        servePipeline(batches, { ...serving, handle: (request, signal) => delivery.deliver(request, signal) }),
    });
  }
  if (rewrite !== undefined) {
    server.add(RewriteServiceDefinition, {
      rewrite: async ({ requests }, { signal }) => ({ addresses: await rewrite.rewrite(requests, signal) }),
      resolve: async ({ requests }, { signal }) => ({ replies: await rewrite.resolve(requests, signal) }),
    });
  }
  if (bounce !== undefined) {
    server.add(BounceServiceDefinition, {
      notify: async ({ requests }, { signal }) => ({ replies: await bounce.notify(requests, signal) }),
    });
  }
  if (anvil !== undefined) {
    server.add(AnvilServiceDefinition, {
      count: async ({ requests }, { signal }) => ({ replies: await anvil.count(requests, signal) }),
    });
  }
  if (proxymap !== undefined) {
    server.add(ProxymapServiceDefinition, {
      lookup: (batches) =>
        servePipeline(batches, { ...serving, handle: (request, signal) => proxymap.lookup(request, signal) }),
    });
  }
  if (queue !== undefined) {
    server.add(QueueServiceDefinition, {
      async *list(request, { signal }) {
        for await (const items of queue.list(request, signal)) yield { items };
      },
      flush: (request, { signal }) => queue.flush(request, signal),
      delete: (request, { signal }) => queue.delete(request, signal),
      change: (request, { signal }) => queue.change(request, signal),
      read: (request, { signal }) => queue.read(request, signal),
    });
  }
}

/** Listens; disposing ends calls under way after they were answered. */
export async function listenRpc(options: RpcListenerOptions): Promise<AsyncDisposable> {
  const { address, log } = options;
  const server = createServer({
    'grpc.max_receive_message_length': MESSAGE_LIMIT,
    'grpc.max_send_message_length': MESSAGE_LIMIT,
    'grpc.keepalive_permit_without_calls': 1,
  })
    .use(authenticated(options.token))
    .use(callErrors(log));
  const draining = new AbortController();
  addServices(server, options, draining.signal);
  // A socket file that a killed process left behind would refuse the next one.
  if (address.startsWith('unix:')) rmSync(address.slice('unix:'.length), { force: true });
  try {
    await server.listen(address, options.credentials);
  } catch (error) {
    throw new FatalError(`cannot listen on ${address}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
      exitCode: EX.OSERR,
    });
  }
  log.debug(`answers calls on ${address}`);
  return {
    async [Symbol.asyncDispose]() {
      const timer = setTimeout(() => server.forceShutdown(), options.grace ?? DEFAULT_GRACE);
      draining.abort();
      await server.shutdown();
      clearTimeout(timer);
    },
  };
}
