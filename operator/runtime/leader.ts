/**
 * One operator at a time works: who holds the Lease. It is renewed every few seconds; whoever waits takes it over when it has
 * not seen a renewal for the duration of the lease, by its own clock, so clocks need not agree. Given back at the end, so
 * that the next one need not wait.
 *
 * A holder that has not renewed for RENEW_LIMIT stops being one, before anybody else can begin: `lost` is aborted, whatever
 * its requests are waiting for. The time counts from when the last renewal was sent, which is before anybody saw it.
 */
import type { Log } from '../../lib/util/log.ts';
import { type ApiClient, ApiError } from './api-client.ts';
import { aborted, pause } from './backoff.ts';
import { collectionPath, KINDS, type KubeObject, objectPath } from './kinds.ts';

export const LEASE_NAME = 'postfleet-operator';
const LEASE_SECONDS = 15;
const RENEW_LIMIT_MS = 10_000;
const RETRY_MS = 2000;

export interface LeaderOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly identity: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Milliseconds; for tests. */
  readonly leaseMs?: number;
  readonly renewLimitMs?: number;
  readonly retryMs?: number;
}

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** Times of a Lease have microseconds. */
const microTime = (): string => new Date().toISOString().replace(/Z$/, '000Z');

export class Leader {
  readonly #options: LeaderOptions;
  readonly #path: string;
  #lease: Lease | undefined;
  /** When the lease was last seen to change, on this process's clock. */
  #seenVersion = '';
  #seenAt = 0;
  #leading = false;
  readonly #lost = new AbortController();
  #limit: NodeJS.Timeout | undefined;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#path = objectPath(KINDS.lease, options.namespace, LEASE_NAME);
  }

  /** Aborted when it no longer leads; from then on nothing may be changed. Not by a lease that was given back. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Resolves when this process holds the lease; rejects when the signal is aborted. */
  async acquire(): Promise<void> {
    const { signal, log, identity, retryMs = RETRY_MS } = this.#options;
    let troubled = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        if (await this.#try(AbortSignal.timeout(this.#renewLimit))) {
          this.#leading = true;
          log.info(`${identity} leads`);
          return;
        }
        troubled = false;
      } catch (error) {
        if (!troubled)
          log.warning(`cannot ask for the lease: ${error instanceof Error ? error.message : String(error)}`);
        troubled = true;
      }
      await pause(retryMs, signal);
    }
  }

  /**
   * Renews until the signal is aborted, then gives the lease back when `done` resolves, or leaves it where that takes longer
   * than it holds. False where it was lost.
   */
  async hold(done: () => Promise<void> = async () => undefined): Promise<boolean> {
    const { signal, log, retryMs = RETRY_MS } = this.#options;
    using stack = new DisposableStack();
    stack.defer(() => clearTimeout(this.#limit));
    const ending = AbortSignal.any([signal, this.lost]);
    let trouble = 'no answer';
    while (!ending.aborted) {
      await pause(retryMs, ending);
      if (ending.aborted) break;
      try {
        if (await this.#try(this.lost)) continue;
        log.warning('another operator has taken the lease');
        this.#lose();
        return false;
      } catch (error) {
        if (!this.lost.aborted) trouble = error instanceof Error ? error.message : String(error);
      }
    }
    if (this.lost.aborted) {
      log.warning(`the lease could not be renewed: ${trouble}`);
      return false;
    }
    await Promise.race([done(), aborted(this.lost)]);
    if (this.lost.aborted) log.warning('work goes on for longer than the lease holds; it is left to expire');
    else await this.#release();
    return true;
  }

  get #renewLimit(): number {
    return this.#options.renewLimitMs ?? RENEW_LIMIT_MS;
  }

  #lose(): void {
    this.#leading = false;
    this.#lost.abort();
  }

  /** The lease is held by what was sent at `sentAt`. */
  #renewed(sentAt: number): void {
    clearTimeout(this.#limit);
    this.#limit = setTimeout(() => this.#lose(), Math.max(0, sentAt + this.#renewLimit - performance.now()));
  }

  /** Takes or renews the lease; false where another holds it. */
  async #try(deadline: AbortSignal): Promise<boolean> {
    const { identity, leaseMs = LEASE_SECONDS * 1000 } = this.#options;
    const lease = await this.#read(deadline);
    if (lease === undefined) return this.#write(undefined, deadline);
    this.#lease = lease;
    const version = lease.metadata.resourceVersion ?? '';
    if (version !== this.#seenVersion) {
      this.#seenVersion = version;
      this.#seenAt = performance.now();
    }
    const holder = lease.spec?.holderIdentity ?? '';
    const expired = performance.now() - this.#seenAt > leaseMs;
    return holder === identity || holder === '' || expired ? this.#write(lease, deadline) : false;
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#options.client.request<Lease>('GET', this.#path, { signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #write(old: Lease | undefined, signal: AbortSignal): Promise<boolean> {
    const { client, namespace, identity, leaseMs = LEASE_SECONDS * 1000 } = this.#options;
    const now = microTime();
    const mine = old?.spec?.holderIdentity === identity;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.round(leaseMs / 1000)),
      renewTime: now,
      acquireTime: mine ? (old?.spec?.acquireTime ?? now) : now,
      leaseTransitions: (old?.spec?.leaseTransitions ?? 0) + (mine || old === undefined ? 0 : 1),
    };
    const body = { ...KINDS.lease, metadata: { ...(old?.metadata ?? { name: LEASE_NAME, namespace }) }, spec };
    const sentAt = performance.now();
    try {
      const parts = { body, contentType: 'application/json', signal };
      this.#lease =
        old === undefined
          ? await client.request<Lease>('POST', collectionPath(KINDS.lease, namespace), parts)
          : await client.request<Lease>('PUT', this.#path, parts);
      this.#renewed(sentAt);
      this.#seenVersion = this.#lease.metadata.resourceVersion ?? '';
      this.#seenAt = performance.now();
      return true;
    } catch (error) {
      // Somebody else was faster.
      if (error instanceof ApiError && error.status === 409) return false;
      throw error;
    }
  }

  async #release(): Promise<void> {
    const { client, log, identity } = this.#options;
    if (!this.#leading || this.#lease === undefined) return;
    this.#leading = false;
    const spec = { ...this.#lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
    try {
      const parts = { body: { ...this.#lease, spec }, contentType: 'application/json', signal: this.lost };
      await client.request('PUT', this.#path, parts);
      log.info(`${identity} has given the lease back`);
    } catch (error) {
      log.warning(`the lease could not be given back: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
