/**
 * The generated files of a chart, by their names, from the files that lie beside them. Reads only.
 *
 * Throws Error where values.yaml lacks a comment or names a field that the custom resource has not got.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { chartReadme } from './chart-readme.ts';
import { type Schema, valuesSchema } from './values-schema.ts';

/** The custom resource definition, which belongs to the operator's chart. */
const DEFINITION = 'postfleet-operator/files/crd.yaml';

export function generatedFiles(charts: string, chart: string): Map<string, string> {
  const read = (name: string): string => readFileSync(join(charts, chart, name), 'utf8');
  const values = read('values.yaml');
  const schema = valuesSchema(`Values of the chart ${chart}`, values, resourceSchema(charts));
  return new Map([
    ['values.schema.json', `${JSON.stringify(schema, undefined, 2)}\n`],
    ['README.md', chartReadme(read('README.head.md'), values)],
  ]);
}

/** What the API server knows of a MailServer. */
export function resourceSchema(charts: string): Schema {
  const definition = parse(readFileSync(join(charts, DEFINITION), 'utf8')) as {
    spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
  };
  return definition.spec.versions[0]!.schema.openAPIV3Schema;
}
