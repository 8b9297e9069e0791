/**
 * values.schema.json of a chart, from its values.yaml: types are those of the defaults, `@schema` adds to them, and
 * `@crd PATH` takes over what the custom resource says of that field, so that helm refuses what the API server would.
 *
 * Objects take no properties but those that values.yaml shows; a map for the user's own keys says so by `@schema`. Pure.
 *
 * Throws Error for a value without a comment, and for a default from which no type follows.
 */
import { parse } from 'yaml';
import { readValueComments, type ValueComment } from './value-comments.ts';

export type Schema = { readonly [keyword: string]: unknown };

/** `resource` is the schema of the custom resource that `@crd` points into. */
export function valuesSchema(title: string, valuesYaml: string, resource: Schema | undefined): Schema {
  const comments = new Map(readValueComments(valuesYaml).map((comment) => [comment.path.join('.'), comment]));
  const values: unknown = parse(valuesYaml);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    ...objectSchema(values as Record<string, unknown>, [], comments, resource),
  };
}

function objectSchema(
  values: Readonly<Record<string, unknown>>,
  path: readonly string[],
  comments: ReadonlyMap<string, ValueComment>,
  resource: Schema | undefined,
): Schema {
  const properties: Record<string, Schema> = {};
  for (const [key, value] of Object.entries(values)) {
    properties[key] = valueSchema(value, [...path, key], comments, resource);
  }
  // `global` is set by parent charts, and passed to every chart below.
  if (path.length === 0) properties.global ??= { type: 'object', description: 'Values of a parent chart.' };
  return { type: 'object', properties, additionalProperties: false };
}

function valueSchema(
  value: unknown,
  path: readonly string[],
  comments: ReadonlyMap<string, ValueComment>,
  resource: Schema | undefined,
): Schema {
  const name = path.join('.');
  const comment = comments.get(name);
  if (comment === undefined || comment.text === '') throw new Error(`${name} has no comment`);
  const { text: description } = comment;
  if (comment.resource !== '') {
    if (resource === undefined) throw new Error(`${name}: this chart has no custom resource`);
    const schema = withoutExtensions(field(resource, comment.resource, name));
    return { ...(value === null ? orNull(schema) : schema), description };
  }
  const written = comment.schema === '' ? {} : (parse(comment.schema) as Schema);
  if (isMap(value) && Object.keys(value).length > 0 && comment.schema === '') {
    return { ...objectSchema(value, path, comments, resource), description };
  }
  const type = 'type' in written || 'anyOf' in written ? {} : { type: typeOf(value, name) };
  return { description, ...type, ...written };
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function typeOf(value: unknown, name: string): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (Array.isArray(value)) return 'array';
  if (isMap(value)) return 'object';
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value;
  throw new Error(`${name}: no type follows from its default; say it with @schema`);
}

function field(resource: Schema, path: string, name: string): Schema {
  let at = resource;
  for (const key of path.split('.')) {
    const properties = at.properties as Record<string, Schema> | undefined;
    const next = properties?.[key];
    if (next === undefined) throw new Error(`${name}: the custom resource has no field ${path}`);
    at = next;
  }
  return at;
}

/** A value that is left out by default. */
function orNull(schema: Schema): Schema {
  const values = schema.enum as unknown[] | undefined;
  return { ...schema, type: [schema.type, 'null'], ...(values === undefined ? {} : { enum: [...values, null] }) };
}

/** Keywords of Kubernetes in the words of JSON schema; defaults and CEL rules stay with the API server. */
function withoutExtensions(schema: unknown): Schema {
  return convert(schema) as Schema;
}

function convert(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(convert);
  if (!isMap(schema)) return schema;
  const converted: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith('x-kubernetes-') || ['default', 'nullable', 'format'].includes(keyword)) continue;
    converted[keyword] =
      keyword === 'properties' && isMap(value)
        ? Object.fromEntries(Object.entries(value).map(([key, property]) => [key, convert(property)]))
        : keyword === 'enum' || keyword === 'required'
          ? value
          : convert(value);
  }
  if (schema['x-kubernetes-int-or-string'] === true) {
    delete converted.type;
    converted.anyOf = [{ type: 'integer' }, { type: 'string' }];
  }
  // The API server prunes or refuses what a schema does not name.
  if (isMap(schema.properties) && schema['x-kubernetes-preserve-unknown-fields'] !== true) {
    converted.additionalProperties ??= false;
  }
  return converted;
}
