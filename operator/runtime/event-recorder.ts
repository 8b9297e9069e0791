/**
 * Events on MailServers, for `kubectl describe`. One that is said again within DEDUPLICATE_MS becomes a series of the first,
 * and is written at most once a minute. An event that cannot be written is logged and forgotten.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../../lib/util/log.ts';
import { MANAGER, type Owner } from '../plan/input.ts';
import { type ApiClient, ApiError } from './api-client.ts';
import { collectionPath, KINDS, objectPath } from './kinds.ts';

const DEDUPLICATE_MS = 600_000;
const REWRITE_MS = 60_000;
const REMEMBERED = 1000;
const NOTE_LIMIT = 1000;

interface Said {
  readonly name: string;
  count: number;
  writtenAt: number;
  saidAt: number;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly identity: string;
  readonly log: Log;
  readonly now?: () => number;
}

const microTime = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(/Z$/, '000Z');

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #said = new Map<string, Said>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** `reason` is one word in capitals and small letters; `action` what was being done. */
  async record(
    owner: Owner,
    type: 'Normal' | 'Warning',
    reason: string,
    note: string,
    action = 'Reconcile',
  ): Promise<void> {
    const { log, now = Date.now } = this.#options;
    const key = JSON.stringify([owner.uid, type, reason, note]);
    const old = this.#said.get(key);
    try {
      if (old === undefined || now() - old.saidAt > DEDUPLICATE_MS)
        await this.#first(key, owner, type, reason, note, action);
      else await this.#again(old, owner);
    } catch (error) {
      log.warning(
        `event ${reason} of ${owner.namespace}/${owner.name}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  async #first(key: string, owner: Owner, type: string, reason: string, note: string, action: string): Promise<void> {
    const { client, identity, now = Date.now } = this.#options;
    const name = `${owner.name}.${randomBytes(8).toString('hex')}`;
    this.#said.delete(key);
    if (this.#said.size >= REMEMBERED) this.#said.delete(this.#said.keys().next().value!);
    this.#said.set(key, { name, count: 1, writtenAt: now(), saidAt: now() });
    await client.request('POST', collectionPath(KINDS.event, owner.namespace), {
      contentType: 'application/json',
      body: {
        ...KINDS.event,
        metadata: { name, namespace: owner.namespace },
        eventTime: microTime(now()),
        type,
        reason,
        action,
        note: note.slice(0, NOTE_LIMIT),
        reportingController: MANAGER,
        reportingInstance: identity.slice(0, 128),
        regarding: { ...KINDS.mailServer, name: owner.name, namespace: owner.namespace, uid: owner.uid },
      },
    });
  }

  async #again(said: Said, owner: Owner): Promise<void> {
    const { client, now = Date.now } = this.#options;
    said.count += 1;
    said.saidAt = now();
    if (now() - said.writtenAt < REWRITE_MS) return;
    said.writtenAt = now();
    try {
      await client.request('PATCH', objectPath(KINDS.event, owner.namespace, said.name), {
        contentType: 'application/merge-patch+json',
        body: { series: { count: said.count, lastObservedTime: microTime(now()) } },
      });
    } catch (error) {
      // Events are swept after an hour.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
}
