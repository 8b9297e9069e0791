/**
 * Applies children, each only when it is not as it should be: the object that is there was not made from the same plan, or
 * somebody has changed it since. What the API server writes in another form than ours ("1000m" as "1") would differ for
 * ever; such an object is left alone as long as it is as it was after our own last write.
 */
import type { OperatorContext } from '../context.ts';
import { contentHash } from '../plan/hash.ts';
import type { Child } from '../plan/input.ts';
import type { KubeObject } from '../runtime/kinds.ts';

export const PLAN_HASH = 'postfleet.dev/plan-hash';

/** Does `live` say everything that `wanted` says? */
export function says(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return Array.isArray(live) && live.length === wanted.length && wanted.every((item, at) => says(live[at], item));
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof live !== 'object' || live === null) return Object.keys(wanted).length === 0 && live === undefined;
    return Object.entries(wanted).every(
      ([key, value]) => value === undefined || says((live as Record<string, unknown>)[key], value),
    );
  }
  return live === wanted;
}

/** The child with the hash of its plan as an annotation. */
export function marked(child: Child): Child {
  const annotations = { ...child.metadata.annotations, [PLAN_HASH]: contentHash(child) };
  return { ...child, metadata: { ...child.metadata, annotations } };
}

/** What changes when somebody else writes: the generation where the kind counts them, else the version. */
function fingerprint({ metadata: { generation, resourceVersion, uid } }: KubeObject): string {
  return `${uid}/${generation ?? resourceVersion}`;
}

export class Applier {
  readonly #context: Pick<OperatorContext, 'client' | 'cluster' | 'log'>;
  readonly #written = new Map<string, string>();

  constructor(context: Pick<OperatorContext, 'client' | 'cluster' | 'log'>) {
    this.#context = context;
  }

  /** The object that is there; undefined where there is none. */
  live(child: Child): KubeObject | undefined {
    return this.#context.cluster.child(child.kind, child.metadata.namespace, child.metadata.name);
  }

  isAsPlanned(child: Child): boolean {
    const live = this.live(child);
    if (live === undefined || live.metadata.deletionTimestamp !== undefined) return false;
    const wanted = marked(child);
    if (live.metadata.annotations?.[PLAN_HASH] !== wanted.metadata.annotations?.[PLAN_HASH]) return false;
    const { apiVersion, kind, ...rest } = wanted;
    return says(live, rest) || this.#written.get(key(child)) === fingerprint(live);
  }

  /** True where it was written. */
  async apply(child: Child): Promise<boolean> {
    if (this.isAsPlanned(child)) return false;
    const { client, cluster, log } = this.#context;
    const object = await client.apply<KubeObject>(marked(child));
    this.#written.set(key(child), fingerprint(object));
    cluster.remember(child, object);
    log.debug(`applied ${key(child)}`);
    return true;
  }

  async delete({ apiVersion, kind, metadata: { namespace = '', name } }: KubeObject): Promise<void> {
    await this.#context.client.delete({ apiVersion: apiVersion ?? '', kind: kind ?? '' }, namespace, name);
    this.#written.delete(`${kind}/${namespace}/${name}`);
  }
}

const key = ({ kind, metadata: { namespace, name } }: Child): string => `${kind}/${namespace}/${name}`;
