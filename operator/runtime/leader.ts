/**
 * One operator at a time works: who holds the Lease. It is renewed every few seconds; whoever waits takes it over when it has
 * not seen a renewal for the duration of the lease, by its own clock, so clocks need not agree. Given back at the end, so
 * that the next one need not wait.
 *
 * A holder that could not renew for RENEW_LIMIT stops being one, before anybody else can begin.
 */
import type { Log } from '../../lib/util/log.ts';
import { type ApiClient, ApiError } from './api-client.ts';
import { pause } from './backoff.ts';
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
  #renewedAt = 0;
  #leading = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#path = objectPath(KINDS.lease, options.namespace, LEASE_NAME);
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Whether renewals go on, as long as it leads. */
  get healthy(): boolean {
    return !this.#leading || performance.now() - this.#renewedAt < RENEW_LIMIT_MS + 5000;
  }

  /** Resolves when this process holds the lease; rejects when the signal is aborted. */
  async acquire(): Promise<void> {
    const { signal, log, identity, retryMs = RETRY_MS } = this.#options;
    let troubled = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        if (await this.#try()) {
          this.#leading = true;
          this.#renewedAt = performance.now();
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

  /** Renews until the signal is aborted, then gives the lease back when `done` resolves; false where it was lost. */
  async hold(done: () => Promise<void> = async () => undefined): Promise<boolean> {
    const { signal, log, retryMs = RETRY_MS } = this.#options;
    while (!signal.aborted) {
      await pause(retryMs, signal);
      if (signal.aborted) break;
      try {
        if (!(await this.#try())) {
          this.#leading = false;
          log.warning('another operator has taken the lease');
          return false;
        }
        this.#renewedAt = performance.now();
      } catch (error) {
        if (performance.now() - this.#renewedAt < RENEW_LIMIT_MS) continue;
        this.#leading = false;
        log.warning(`the lease could not be renewed: ${error instanceof Error ? error.message : String(error)}`);
        return false;
      }
    }
    await done();
    await this.#release();
    return true;
  }

  /** Takes or renews the lease; false where another holds it. */
  async #try(): Promise<boolean> {
    const { client, identity, leaseMs = LEASE_SECONDS * 1000 } = this.#options;
    const lease = await client.get<Lease>(KINDS.lease, this.#options.namespace, LEASE_NAME);
    if (lease === undefined) return this.#write(undefined);
    this.#lease = lease;
    const version = lease.metadata.resourceVersion ?? '';
    if (version !== this.#seenVersion) {
      this.#seenVersion = version;
      this.#seenAt = performance.now();
    }
    const holder = lease.spec?.holderIdentity ?? '';
    const expired = performance.now() - this.#seenAt > leaseMs;
    return holder === identity || holder === '' || expired ? this.#write(lease) : false;
  }

  async #write(old: Lease | undefined): Promise<boolean> {
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
    try {
      const contentType = 'application/json';
      this.#lease =
        old === undefined
          ? await client.request<Lease>('POST', collectionPath(KINDS.lease, namespace), { body, contentType })
          : await client.request<Lease>('PUT', this.#path, { body, contentType });
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
      await client.request('PUT', this.#path, { body: { ...this.#lease, spec }, contentType: 'application/json' });
      log.info(`${identity} has given the lease back`);
    } catch (error) {
      log.warning(`the lease could not be given back: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
