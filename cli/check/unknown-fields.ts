/**
 * Fields of an object that its schema does not name, which the API server drops or, asked by kubectl, refuses. Pure.
 *
 * Reads the part of OpenAPI that definitions of custom resources are made of: properties, items, additionalProperties.
 */

export interface FieldSchema {
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly items?: FieldSchema;
  readonly additionalProperties?: FieldSchema | boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

/** Names such as "spec.services.smtpd.replica" or "spec.masterCf[0].kind", in their order. */
export function unknownFields(value: unknown, schema: FieldSchema, field = ''): string[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? [] : value.flatMap((item, at) => unknownFields(item, items, `${field}[${at}]`));
  }
  if (typeof value !== 'object' || value === null || schema['x-kubernetes-preserve-unknown-fields'] === true) return [];
  const { properties, additionalProperties } = schema;
  return Object.entries(value).flatMap(([name, inner]) => {
    const path = field === '' ? name : `${field}.${name}`;
    const known = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (typeof known === 'object') return unknownFields(inner, known, path);
    // An object without a word about its properties may have any.
    return known === true || properties === undefined ? [] : [path];
  });
}
