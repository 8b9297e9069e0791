/**
 * Parts of the MailServer schema that stand for values of Kubernetes' own APIs. What the API server itself checks when a
 * child is applied is passed on as it is; what we read is spelt out. `meta` puts the extensions of a structural schema
 * (`x-kubernetes-…`) into the generated CRD.
 */
import * as z from 'zod';

/** A name that Kubernetes takes for most objects. */
export const objectName = (meaning: string) =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .meta({ description: meaning });

/** A value that is handed to Kubernetes as it is. */
export const passedOn = (meaning: string) =>
  z.looseObject({}).meta({ description: meaning, 'x-kubernetes-preserve-unknown-fields': true });

export const listPassedOn = (meaning: string, maximum = 50) =>
  z.array(passedOn('As in the Kubernetes API.')).max(maximum).meta({ description: meaning });

/** "500m", "128Mi" or a number. */
const quantity = z.union([z.string(), z.number()]).meta({ 'x-kubernetes-int-or-string': true });

export const resources = z
  .object({
    requests: z.record(z.string(), quantity).meta({ maxProperties: 20 }).optional(),
    limits: z.record(z.string(), quantity).meta({ maxProperties: 20 }).optional(),
  })
  .meta({ description: 'Requests and limits of the container.' });

/** One key of a ConfigMap or Secret in the namespace of the MailServer. */
export const keyOf = (kind: 'ConfigMap' | 'Secret', defaultKey?: string) =>
  z
    .object({
      name: objectName(`Name of the ${kind}.`),
      key:
        defaultKey === undefined
          ? z.string().min(1).max(253).meta({ description: 'Key in it.' })
          : z.string().min(1).max(253).default(defaultKey).meta({ description: 'Key in it.' }),
    })
    .meta({ description: `A key of a ${kind} in the same namespace.` });

/** A validation rule: in CEL for the API server, and as a predicate for whoever checks a file. */
export interface Rule<T> {
  readonly rule: string;
  readonly message: string;
  /** Left out for a rule about a change, which a file cannot break. */
  readonly holds?: (value: T) => boolean;
}

/** Puts rules on a schema. */
export function ruled<Schema extends z.ZodType>(
  schema: Schema,
  description: string,
  ...rules: readonly Rule<z.output<Schema>>[]
): Schema {
  let checked = schema;
  for (const { holds, message } of rules)
    if (holds !== undefined) checked = checked.refine(holds, { message }) as Schema;
  return checked.meta({
    description,
    'x-kubernetes-validations': rules.map(({ rule, message }) => ({ rule, message })),
  }) as Schema;
}
