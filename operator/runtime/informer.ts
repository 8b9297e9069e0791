/**
 * A copy of a collection that follows its changes: a list, then a watch from there. A watch that ends is begun again where it
 * stopped; one that breaks, after a pause that grows; one whose beginning the server has forgotten (410), with another list.
 * It ends with the signal alone, so that an API server that restarts is nothing but a pause. A collection that may be
 * forbidden counts as read while it is, and is asked for once a minute.
 *
 * Logs one warning when it loses the server, one line when it has it again.
 */
import type { Log } from '../../lib/util/log.ts';
import { type ApiClient, ApiError, WATCH_SECONDS } from './api-client.ts';
import { Backoff, pause } from './backoff.ts';
import { type KubeObject, keyOf } from './kinds.ts';

const PAGE = '500';
/** How soon a right that was refused is asked for again: an API server that has just started may not know it yet. */
const FORBIDDEN_MS = 60_000;
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export interface InformerOptions<T extends KubeObject> {
  readonly client: ApiClient;
  /** Path of the collection. */
  readonly path: string;
  readonly labelSelector?: string;
  /** Only names, labels and annotations travel. */
  readonly metadataOnly?: boolean;
  /** One that we may not see counts as empty. */
  readonly mayBeForbidden?: boolean;
  /** What is kept of an object. */
  readonly keep?: (object: KubeObject) => T;
  /** Called for each object that came, changed (with its predecessor) or went. */
  readonly changed: (object: T, change: 'added' | 'modified' | 'deleted', before: T | undefined) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly backoff?: Backoff;
}

interface List {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  /** Null where a list of names alone is empty. */
  readonly items: KubeObject[] | null;
}

export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #backoff: Backoff;
  #resourceVersion = '';
  #synced = false;
  readonly #firstList = Promise.withResolvers<void>();
  #troubled = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#backoff = options.backoff ?? new Backoff({ firstMs: 500, maximumMs: 15_000 });
  }

  /** Whether the whole collection has been read once. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves when the whole collection has been read once; never rejects. */
  get listed(): Promise<void> {
    return this.#firstList.promise;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  values(): Iterable<T> {
    return this.#objects.values();
  }

  /** Follows the collection until the signal is aborted; never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === '') await this.#list();
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        if (this.#isForbidden(error)) {
          this.#sync();
          await pause(FORBIDDEN_MS, signal);
          continue;
        }
        if (error instanceof ApiError && error.status === 410) this.#resourceVersion = '';
        else this.#complain(error);
        await pause(this.#backoff.next(), signal);
      }
    }
  }

  #isForbidden(error: unknown): boolean {
    const { mayBeForbidden = false } = this.#options;
    return mayBeForbidden && error instanceof ApiError && error.status === 403;
  }

  #sync(): void {
    this.#synced = true;
    this.#firstList.resolve();
  }

  #complain(error: unknown): void {
    if (this.#troubled) return;
    this.#troubled = true;
    const text = error instanceof Error ? error.message || error.name : String(error);
    this.#options.log.warning(`cannot follow ${this.#options.path}: ${text}; trying again`);
  }

  /** The server answers. */
  #well(): void {
    this.#backoff.reset();
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#options.log.info(`following ${this.#options.path} again`);
  }

  #query(): Record<string, string> {
    const { labelSelector } = this.#options;
    return labelSelector === undefined ? {} : { labelSelector };
  }

  async #list(): Promise<void> {
    const { client, path, metadataOnly, keep, signal } = this.#options;
    const found = new Map<string, T>();
    let page: List | undefined;
    do {
      const next: string | undefined = page?.metadata.continue;
      page = await client.request<List>('GET', path, {
        query: { ...this.#query(), limit: PAGE, ...(next === undefined ? {} : { continue: next }) },
        ...(metadataOnly === true ? { accept: METADATA_LIST } : {}),
        signal,
      });
      for (const item of page.items ?? []) found.set(keyOf(item), keep === undefined ? (item as T) : keep(item));
    } while (page.metadata.continue !== undefined && page.metadata.continue !== '');
    this.#resourceVersion = page.metadata.resourceVersion;
    for (const [key, old] of this.#objects) if (!found.has(key)) this.#remove(key, old);
    for (const [key, object] of found) this.#put(key, object);
    this.#sync();
    this.#well();
  }

  async #watch(): Promise<void> {
    const { client, path, metadataOnly, keep, signal } = this.#options;
    const events = client.watch(path, {
      query: {
        ...this.#query(),
        resourceVersion: this.#resourceVersion,
        allowWatchBookmarks: 'true',
        // So that a connection that is lost without a word does not stay for ever.
        timeoutSeconds: String(WATCH_SECONDS),
      },
      ...(metadataOnly === true ? { accept: METADATA_ONLY } : {}),
      signal,
    });
    for await (const { type, object } of events) {
      if (type === 'ERROR') throw new ApiError(object.code ?? 500, '', object.message ?? 'the watch failed');
      this.#well();
      this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
      if (type === 'BOOKMARK') continue;
      const key = keyOf(object);
      const kept = keep === undefined ? (object as unknown as T) : keep(object);
      if (type === 'DELETED') this.#remove(key, kept);
      else this.#put(key, kept);
    }
  }

  #put(key: string, object: T): void {
    const before = this.#objects.get(key);
    if (before !== undefined && before.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#objects.set(key, object);
    this.#options.changed(object, before === undefined ? 'added' : 'modified', before);
  }

  #remove(key: string, object: T): void {
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    this.#options.changed(object, 'deleted', before);
  }

  /** What was just written, so that the next look does not see what was there before. Older news is ignored. */
  remember(object: T): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    const version = (one: T | undefined): number => Number(one?.metadata.resourceVersion ?? 0);
    if (version(before) < version(object)) this.#objects.set(key, object);
  }
}
