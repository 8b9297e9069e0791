/**
 * Finds the service behind a name: in the same process where it runs there, over the transport otherwise. Which of the
 * two it is is decided at each call, so services may be started in any order.
 */
import type { Clients } from '../server/context.ts';
import type { Implementation } from '../server/service.ts';
import { promised } from '../util/maybe-promise.ts';
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

/** Clients of services elsewhere: over gRPC, or through a port to another thread. */
export interface RemoteTransport {
  cleanup(service: string): Cleanup;
  rewrite(service: string): TrivialRewrite;
  bounce(service: string): Bounce;
  queue(service: string): Queue;
  anvil(service: string): Anvil;
  proxymap(service: string): Proxymap;
  delivery(service: string): DeliveryAgent;
  /** Whether the process of that service would do its work; left out where all that is called runs in this one. */
  isReady?(service: string, signal: AbortSignal): Promise<boolean>;
}

export interface RegistryOptions {
  readonly remote: RemoteTransport | undefined;
  /** Whether master.cf has a delivery agent of that name. */
  readonly isTransport: (name: string) => boolean;
}

export class Registry implements Clients {
  readonly #options: RegistryOptions;
  readonly #local = new Map<string, Implementation>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Makes a service of this process callable under its master.cf name. */
  register(service: string, implementation: Implementation): void {
    this.#local.set(service, implementation);
  }

  /** Takes it away, unless another has been registered under the name. */
  unregister(service: string, implementation: Implementation): void {
    if (this.#local.get(service) === implementation) this.#local.delete(service);
  }

  /** The service of this process with that name. */
  local(service: string): Implementation | undefined {
    return this.#local.get(service);
  }

  #find<Kind extends keyof Implementation>(kind: Kind, service: string): NonNullable<Implementation[Kind]> {
    const local = this.#local.get(service)?.[kind];
    if (local !== undefined) return local;
    const remote = this.#options.remote?.[kind](service);
    if (remote === undefined) throw new Unavailable(`service ${service} does not run`);
    return remote as NonNullable<Implementation[Kind]>;
  }

  /** Calls it where it is at present; one that does not run is a rejection. */
  #call<Kind extends keyof Implementation, Reply>(
    kind: Kind,
    service: string,
    call: (to: NonNullable<Implementation[Kind]>) => Promise<Reply>,
  ): Promise<Reply> {
    return promised(() => call(this.#find(kind, service)));
  }

  cleanup(service = 'cleanup'): Cleanup {
    return {
      submit: (request, signal) => this.#call('cleanup', service, (to) => to.submit(request, signal)),
      submitLarge: (request, content, signal) =>
        this.#call('cleanup', service, (to) => to.submitLarge(request, content, signal)),
    };
  }

  rewrite(service = 'rewrite'): TrivialRewrite {
    return {
      rewrite: (requests, signal) => this.#call('rewrite', service, (to) => to.rewrite(requests, signal)),
      resolve: (requests, signal) => this.#call('rewrite', service, (to) => to.resolve(requests, signal)),
    };
  }

  bounce(service = 'bounce'): Bounce {
    return { notify: (requests, signal) => this.#call('bounce', service, (to) => to.notify(requests, signal)) };
  }

  queue(service = 'showq'): Queue {
    return {
      list: (request, signal) => this.#find('queue', service).list(request, signal),
      flush: (request, signal) => this.#call('queue', service, (to) => to.flush(request, signal)),
      delete: (request, signal) => this.#call('queue', service, (to) => to.delete(request, signal)),
      change: (request, signal) => this.#call('queue', service, (to) => to.change(request, signal)),
      read: (request, signal) => this.#find('queue', service).read(request, signal),
    };
  }

  anvil(service = 'anvil'): Anvil {
    return { count: (requests, signal) => this.#call('anvil', service, (to) => to.count(requests, signal)) };
  }

  proxymap(service = 'proxymap'): Proxymap {
    return { lookup: (request, signal) => this.#call('proxymap', service, (to) => to.lookup(request, signal)) };
  }

  async isReady(service: string, signal: AbortSignal): Promise<boolean> {
    if (this.#local.has(service)) return true;
    return (await this.#options.remote?.isReady?.(service, signal)) ?? true;
  }

  delivery(transport: string): DeliveryAgent | undefined {
    if (!this.#options.isTransport(transport)) return undefined;
    return {
      deliver: (request, signal) => this.#call('delivery', transport, (to) => to.deliver(request, signal)),
    };
  }
}
