/**
 * One gRPC server for all services of a process. Most calls lead to whichever of them answers such calls; a delivery leads
 * to the agent of the transport that it names. The server ends when the last service is no longer exposed.
 *
 * Two services may answer the same kind of call only where it makes no difference which one does (showq and flush), or where
 * the call says whom it means; whoever puts services together sees to that (lib/mailserver/fleet.ts).
 */
import type { DeliveryAgent } from '../clients/protocols.ts';
import { Unavailable } from '../clients/protocols.ts';
import type { Implementation } from './service.ts';

export class SharedListener {
  /** By the names in master.cf, in the order of their start. */
  readonly #exposed = new Map<string, Implementation>();
  #server: Promise<AsyncDisposable> | undefined;

  /** Makes a service callable for as long as what is returned is not disposed of. */
  expose(name: string, implementation: Implementation): AsyncDisposable {
    this.#exposed.set(name, implementation);
    return {
      [Symbol.asyncDispose]: async () => {
        if (this.#exposed.size > 1) this.#exposed.delete(name);
        else await this.#close();
      },
    };
  }

  /** Begins to listen, where a service answers calls at all; `listen` is given what answers. */
  async listen(listen: (implementation: Implementation) => Promise<AsyncDisposable>): Promise<void> {
    if (this.#exposed.size === 0) return;
    this.#server = listen(this.#combined());
    await this.#server;
  }

  /** The last service stays callable until calls under way are answered. */
  async #close(): Promise<void> {
    const server = await this.#server?.catch(() => undefined);
    this.#server = undefined;
    await server?.[Symbol.asyncDispose]();
    this.#exposed.clear();
  }

  #combined(): Implementation {
    const all = [...this.#exposed.values()];
    if (all.length === 1) return all[0]!;
    const combined = Object.assign({}, ...all.toReversed()) as Implementation;
    return combined.delivery === undefined ? combined : { ...combined, delivery: this.#delivery() };
  }

  #delivery(): DeliveryAgent {
    return {
      deliver: async (request, signal) => {
        const agent = this.#exposed.get(request.transport)?.delivery;
        if (agent === undefined) throw new Unavailable(`no agent for transport ${request.transport} runs here`);
        return agent.deliver(request, signal);
      },
    };
  }
}
