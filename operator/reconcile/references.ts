/**
 * What a MailServer refers to in its namespace: Secrets with the addresses of the stores, ConfigMaps and Secrets with tables.
 * Read again only when their version changed.
 */
import type { MailServerSpec } from '../../lib/mailserver/schema.ts';
import type { OperatorContext } from '../context.ts';
import { secretHash } from '../plan/hash.ts';
import type { Owner } from '../plan/input.ts';
import { KINDS, type KubeObject } from '../runtime/kinds.ts';

export interface References {
  readonly natsUrl: string;
  readonly postgresUrl: string;
  /** Tells apart what the Secrets of the stores hold; empty where there are none. */
  readonly storesHash: string;
  /** Text of each table. */
  readonly tables: ReadonlyMap<string, string>;
}

/** A Secret, ConfigMap or key that is not there: somebody has to make it. */
export class MissingReference extends Error {
  override readonly name = 'MissingReference';
}

/** Names in the spec of a MailServer that need not be correct. */
export function referencedNames(mailServer: KubeObject): { secrets: Set<string>; configMaps: Set<string> } {
  const spec = (mailServer.spec ?? {}) as Partial<MailServerSpec>;
  const tables = Object.values(spec.tables ?? {});
  const present = (names: (string | undefined)[]): Set<string> => new Set(names.filter((name) => name !== undefined));
  return {
    secrets: present([
      spec.nats?.secretRef?.name,
      spec.postgres?.secretRef?.name,
      ...tables.map((table) => table.secret?.name),
    ]),
    configMaps: present(tables.map((table) => table.configMap?.name)),
  };
}

interface Kept {
  readonly version: string;
  readonly data: ReadonlyMap<string, string>;
}

export class ReferenceReader {
  readonly #context: OperatorContext;
  readonly #kept = new Map<string, Kept>();

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  /** Throws MissingReference, naming the field, for what is not there. */
  async read(owner: Owner, spec: MailServerSpec): Promise<References> {
    const { namespace } = owner;
    const used = new Set<string>();
    const value = async (
      field: string,
      kind: 'ConfigMap' | 'Secret',
      at: { name: string; key: string },
    ): Promise<string> => {
      const id = `${kind}/${namespace}/${at.name}`;
      used.add(id);
      const data = await this.#data(kind, namespace, at.name);
      if (data === undefined) throw new MissingReference(`${field}: there is no ${kind} "${at.name}"`);
      const found = data.get(at.key);
      if (found === undefined) throw new MissingReference(`${field}: the ${kind} "${at.name}" has no key "${at.key}"`);
      return found;
    };
    const { nats, postgres } = spec;
    const natsUrl =
      nats.secretRef === undefined
        ? (nats.url ?? '')
        : (await value('spec.nats.secretRef', 'Secret', nats.secretRef)).trim();
    const postgresUrl =
      postgres.secretRef === undefined
        ? (postgres.url ?? '')
        : (await value('spec.postgres.secretRef', 'Secret', postgres.secretRef)).trim();
    const secrets = [nats.secretRef && natsUrl, postgres.secretRef && postgresUrl].filter((one) => one !== undefined);
    const tables = new Map<string, string>();
    for (const [name, table] of Object.entries(spec.tables ?? {})) {
      const field = `spec.tables.${name}`;
      if (table.inline !== undefined) tables.set(name, table.inline);
      else if (table.configMap !== undefined)
        tables.set(name, await value(`${field}.configMap`, 'ConfigMap', table.configMap));
      else if (table.secret !== undefined) tables.set(name, await value(`${field}.secret`, 'Secret', table.secret));
    }
    for (const id of this.#kept.keys())
      if (id.includes(`/${namespace}/`) && !this.#inUse(id, used)) this.#kept.delete(id);
    return { natsUrl, postgresUrl, storesHash: secrets.length === 0 ? '' : secretHash(owner.uid, secrets), tables };
  }

  /** Does any MailServer of the namespace use it? */
  #inUse(id: string, used: ReadonlySet<string>): boolean {
    if (used.has(id)) return true;
    const [kind, namespace, name = ''] = id.split('/');
    return [...this.#context.cluster.mailServers()].some(
      (one) =>
        one.metadata.namespace === namespace &&
        referencedNames(one)[kind === 'Secret' ? 'secrets' : 'configMaps'].has(name),
    );
  }

  async #data(
    kind: 'ConfigMap' | 'Secret',
    namespace: string,
    name: string,
  ): Promise<ReadonlyMap<string, string> | undefined> {
    const { cluster, client } = this.#context;
    const id = `${kind}/${namespace}/${name}`;
    const version = cluster.version(kind, namespace, name);
    const kept = this.#kept.get(id);
    if (kept !== undefined && kept.version === version) return kept.data;
    const object = await client.get<KubeObject>(kind === 'Secret' ? KINDS.secret : KINDS.configMap, namespace, name);
    if (object === undefined) return undefined;
    const data = kind === 'Secret' ? secretData(object) : configMapData(object);
    this.#kept.set(id, { version: object.metadata.resourceVersion ?? '', data });
    return data;
  }
}

const entries = (object: KubeObject, field: string): [string, string][] =>
  Object.entries((object[field] ?? {}) as Record<string, string>);

function secretData(object: KubeObject): Map<string, string> {
  return new Map(entries(object, 'data').map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
}

function configMapData(object: KubeObject): Map<string, string> {
  return new Map([
    ...entries(object, 'data'),
    ...entries(object, 'binaryData').map(
      ([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')] as [string, string],
    ),
  ]);
}
