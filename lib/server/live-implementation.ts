/**
 * What callers hold of a service: always the same object, whichever instance of the service answers at present. A reload
 * puts another instance behind it, and releases the one before when the last call to that has been answered.
 */
import { Unavailable } from '../clients/protocols.ts';
import { promised } from '../util/maybe-promise.ts';
import type { Implementation } from './service.ts';

type Kind = keyof Implementation;
const KINDS: readonly Kind[] = ['cleanup', 'rewrite', 'bounce', 'queue', 'anvil', 'proxymap', 'delivery'];

/** An instance of the service and the calls to it that are under way. */
class Served {
  readonly implementation: Implementation;
  #calls = 0;
  #idle: (() => void) | undefined;

  constructor(implementation: Implementation) {
    this.implementation = implementation;
  }

  /** What answers calls of that kind; `end` follows. Throws Unavailable where the service was taken out of master.cf. */
  begin<K extends Kind>(kind: K): NonNullable<Implementation[K]> {
    const found = this.implementation[kind];
    if (found === undefined) throw new Unavailable('the service was stopped by a reload');
    this.#calls += 1;
    return found as NonNullable<Implementation[K]>;
  }

  end(): void {
    this.#calls -= 1;
    if (this.#calls === 0) this.#idle?.();
  }

  /** Resolves when no call is under way; asked for once, when no further calls come. */
  idle(): Promise<void> {
    return this.#calls === 0 ? Promise.resolve() : new Promise((resolve) => (this.#idle = resolve));
  }
}

export function kindsOf(implementation: Implementation): Kind[] {
  return KINDS.filter((kind) => implementation[kind] !== undefined);
}

export class LiveImplementation {
  /** For callers. */
  readonly implementation: Implementation;
  #served: Served;

  constructor(first: Implementation) {
    this.#served = new Served(first);
    this.implementation = this.#forward(first);
  }

  /** Puts another instance in the place of the present one; resolves when no call to the old one is under way. */
  replace(next: Implementation): Promise<void> {
    const old = this.#served;
    this.#served = new Served(next);
    return old.idle();
  }

  #forward({ cleanup, rewrite, bounce, queue, anvil, proxymap, delivery }: Implementation): Implementation {
    return {
      ...(cleanup && {
        cleanup: {
          submit: (request, signal) => this.#call('cleanup', (to) => to.submit(request, signal)),
          submitLarge: (request, content, signal) =>
            this.#call('cleanup', (to) => to.submitLarge(request, content, signal)),
        },
      }),
      ...(rewrite && {
        rewrite: {
          rewrite: (requests, signal) => this.#call('rewrite', (to) => to.rewrite(requests, signal)),
          resolve: (requests, signal) => this.#call('rewrite', (to) => to.resolve(requests, signal)),
        },
      }),
      ...(bounce && {
        bounce: { notify: (requests, signal) => this.#call('bounce', (to) => to.notify(requests, signal)) },
      }),
      ...(queue && {
        queue: {
          list: (request, signal) => this.#stream('queue', (to) => to.list(request, signal)),
          flush: (request, signal) => this.#call('queue', (to) => to.flush(request, signal)),
          delete: (request, signal) => this.#call('queue', (to) => to.delete(request, signal)),
          change: (request, signal) => this.#call('queue', (to) => to.change(request, signal)),
          read: (request, signal) => this.#stream('queue', (to) => to.read(request, signal)),
        },
      }),
      ...(anvil && { anvil: { count: (requests, signal) => this.#call('anvil', (to) => to.count(requests, signal)) } }),
      ...(proxymap && {
        proxymap: { lookup: (request, signal) => this.#call('proxymap', (to) => to.lookup(request, signal)) },
      }),
      ...(delivery && {
        delivery: { deliver: (request, signal) => this.#call('delivery', (to) => to.deliver(request, signal)) },
      }),
    };
  }

  #call<K extends Kind, Reply>(kind: K, call: (to: NonNullable<Implementation[K]>) => Promise<Reply>): Promise<Reply> {
    return promised(() => {
      const served = this.#served;
      const to = served.begin(kind);
      const reply = promised(() => call(to));
      const end = (): void => served.end();
      reply.then(end, end);
      return reply;
    });
  }

  async *#stream<K extends Kind, Item>(
    kind: K,
    call: (to: NonNullable<Implementation[K]>) => AsyncIterable<Item>,
  ): AsyncGenerator<Item> {
    const served = this.#served;
    const to = served.begin(kind);
    try {
      yield* call(to);
    } finally {
      served.end();
    }
  }
}
