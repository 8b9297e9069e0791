/**
 * The CustomResourceDefinition of MailServer, from the schema. Pure.
 *
 * A structural schema knows less than JSON Schema: what it does not know is either said otherwise (bounds of integers are
 * those of int64 by themselves) or left to check.ts (patterns of map keys).
 */
import * as z from 'zod';
import { GROUP, KIND, mailServerSchema, PLURAL, VERSION } from './schema.ts';

export type Json = { [key: string]: unknown };

/** Bounds that zod gives every integer. */
const SAFE = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

function structural(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(structural);
  if (typeof node !== 'object' || node === null) return node;
  const { $schema, propertyNames, ...rest } = node as Json;
  if (rest['x-kubernetes-int-or-string'] === true) return { 'x-kubernetes-int-or-string': true };
  if (rest['x-kubernetes-preserve-unknown-fields'] === true || rest.properties !== undefined)
    delete rest.additionalProperties;
  if (rest.properties !== undefined && Object.keys(rest.properties as Json).length === 0) delete rest.properties;
  for (const bound of ['minimum', 'maximum']) if (SAFE.includes(rest[bound] as number)) delete rest[bound];
  const literals = (rest.anyOf as Json[] | undefined)?.map(({ enum: values }) => values);
  if (literals !== undefined) {
    rest.enum = literals.flat();
    rest.type = 'integer';
    delete rest.anyOf;
  }
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, structural(value)]));
}

function openApi(schema: z.ZodType): Json {
  return structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' })) as Json;
}

const columns = [
  ['Ready', 'string', '.status.conditions[?(@.type=="Ready")].status', 0],
  ['Reason', 'string', '.status.conditions[?(@.type=="Ready")].reason', 0],
  ['Hostname', 'string', '.status.hostname', 0],
  ['Deferred', 'integer', '.status.queue.deferred', 0],
  ['Oldest', 'integer', '.status.queue.oldestSeconds', 1],
  ['Durability', 'string', '.status.durability.log', 1],
  ['Age', 'date', '.metadata.creationTimestamp', 0],
] as const;

export function customResourceDefinition(): Json {
  const schema = openApi(mailServerSchema);
  (schema.properties as Json).metadata = { type: 'object' };
  schema.required = ['spec'];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${PLURAL}.${GROUP}`,
      annotations: { 'helm.sh/resource-policy': 'keep' },
      labels: { 'app.kubernetes.io/name': 'postfleet' },
    },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: 'mailserver',
        shortNames: ['ms'],
        categories: ['postfleet', 'mail'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns.map(([name, type, jsonPath, priority]) => ({
            name,
            type,
            jsonPath,
            ...(priority === 0 ? {} : { priority }),
          })),
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}
