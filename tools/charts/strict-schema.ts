/**
 * Schemas of Kubernetes as JSON schema that takes no unknown fields. Pure.
 */

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What metadata of any object may have; a definition only says that it is an object. */
const METADATA = { type: 'object' };

/** A copy in which every object that names its properties takes no others. */
export function withoutFreeProperties(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutFreeProperties);
  if (!isMap(schema)) return schema;
  const strict: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) strict[keyword] = withoutFreeProperties(value);
  if (schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string') {
    delete strict.type;
    delete strict.format;
    strict.anyOf = [{ type: 'integer' }, { type: 'string' }];
  }
  // `properties` itself may hold a field of that name; a schema has a type or properties that are schemas.
  if (isMap(schema.properties) && schema.type === 'object') {
    const { 'x-kubernetes-preserve-unknown-fields': free } = schema;
    if (free !== true) strict.additionalProperties ??= false;
    if (
      'apiVersion' in schema.properties &&
      isMap(schema.properties.metadata) &&
      !('$ref' in schema.properties.metadata)
    ) {
      strict.properties = { ...(strict.properties as object), metadata: METADATA };
    }
  }
  return strict;
}
