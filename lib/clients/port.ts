/**
 * The protocols between threads of one process: requests and replies as structured clones over a MessagePort. Session
 * threads use it for the few services that they do not hold themselves (anvil, proxymap, showq, verify).
 *
 * Only calls with one request and one reply cross; streams (a large submission, the queue's listing) do not.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Implementation } from '../server/service.ts';
import {
  type Anvil,
  type Bounce,
  type Cleanup,
  type DeliveryAgent,
  type Proxymap,
  type Queue,
  type TrivialRewrite,
  Unavailable,
} from './protocols.ts';
import type { RemoteTransport } from './registry.ts';

interface PortRequest {
  readonly id: number;
  readonly service: string;
  readonly kind: keyof Implementation;
  readonly method: string;
  readonly request: unknown;
}

interface PortReply {
  readonly id: number;
  readonly reply?: unknown;
  readonly failed?: string;
}

type Call = (request: unknown) => Promise<unknown>;

/** Answers calls that come through `port` with the services that `find` knows. */
export function servePort(port: MessagePort, find: (service: string) => Implementation | undefined): void {
  port.on('message', ({ id, service, kind, method, request }: PortRequest) => {
    const target = find(service)?.[kind] as Record<string, Call> | undefined;
    const call = target?.[method]?.bind(target);
    const answer = (reply: PortReply): void => port.postMessage(reply);
    if (call === undefined) {
      answer({ id, failed: `service ${service} does not run` });
      return;
    }
    call(request).then(
      (reply) => answer({ id, reply }),
      (error: unknown) => answer({ id, failed: String(error) }),
    );
  });
}

/** Clients of the services at the other end of `port`. */
export function portClients(port: MessagePort): RemoteTransport {
  const pending = new Map<number, { resolve(reply: unknown): void; reject(error: Error): void }>();
  let next = 1;
  port.on('message', ({ id, reply, failed }: PortReply) => {
    const call = pending.get(id);
    pending.delete(id);
    if (failed === undefined) call?.resolve(reply);
    else call?.reject(new Unavailable(failed));
  });
  port.on('close', () => {
    for (const { reject } of pending.values()) reject(new Unavailable('the main thread is gone'));
    pending.clear();
  });
  const call = <Reply>(
    service: string,
    kind: keyof Implementation,
    method: string,
    request: unknown,
  ): Promise<Reply> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = next++;
    pending.set(id, { resolve, reject });
    port.postMessage({ id, service, kind, method, request } satisfies PortRequest);
    return promise as Promise<Reply>;
  };
  const refuse = (): never => {
    throw new Unavailable('streams do not cross threads');
  };
  return {
    cleanup: (service): Cleanup => ({
      submit: (request) => call(service, 'cleanup', 'submit', request),
      submitLarge: refuse,
    }),
    rewrite: (service): TrivialRewrite => ({
      rewrite: (requests) => call(service, 'rewrite', 'rewrite', requests),
      resolve: (requests) => call(service, 'rewrite', 'resolve', requests),
    }),
    bounce: (service): Bounce => ({ notify: (requests) => call(service, 'bounce', 'notify', requests) }),
    queue: (service): Queue => ({
      list: refuse,
      read: refuse,
      flush: (request) => call(service, 'queue', 'flush', request),
      delete: (request) => call(service, 'queue', 'delete', request),
      change: (request) => call(service, 'queue', 'change', request),
    }),
    anvil: (service): Anvil => ({ count: (requests) => call(service, 'anvil', 'count', requests) }),
    proxymap: (service): Proxymap => ({ lookup: (request) => call(service, 'proxymap', 'lookup', request) }),
    delivery: (service): DeliveryAgent => ({ deliver: (request) => call(service, 'delivery', 'deliver', request) }),
  };
}
