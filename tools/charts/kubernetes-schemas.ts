/**
 * JSON schemas for kubeconform, which by itself would fetch them: `node tools/charts/kubernetes-schemas.ts SWAGGER DIRECTORY`
 * writes one file for each kind of Kubernetes' own API description, and one for MailServer from its definition.
 *
 * Objects take no properties but those described, as the API server does with strict field validation.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resourceSchema } from './generated-files.ts';
import { withoutFreeProperties } from './strict-schema.ts';

interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const CHARTS = join(import.meta.dirname, '../../charts');
const DEFINITIONS = '_definitions.json';

/** The name under which kubeconform looks: "{{ .ResourceKind }}{{ .KindSuffix }}.json". */
function fileName({ group, version, kind }: Kind): string {
  const parts = [kind, ...(group === '' ? [] : [group.split('.')[0]!]), version];
  return `${parts.join('-').toLowerCase()}.json`;
}

const [swagger = '', directory = ''] = process.argv.slice(2);
const { definitions } = JSON.parse(readFileSync(swagger, 'utf8')) as {
  definitions: Record<string, Record<string, unknown>>;
};
mkdirSync(directory, { recursive: true });
writeFileSync(join(directory, DEFINITIONS), JSON.stringify({ definitions: withoutFreeProperties(definitions) }));
for (const [name, definition] of Object.entries(definitions)) {
  const kinds = (definition['x-kubernetes-group-version-kind'] ?? []) as Kind[];
  for (const kind of kinds) {
    const reference = { $ref: `${DEFINITIONS}#/definitions/${name}` };
    writeFileSync(join(directory, fileName(kind)), JSON.stringify(reference));
  }
}
const mailServer = { group: 'postfleet.dev', version: 'v1alpha1', kind: 'MailServer' };
writeFileSync(join(directory, fileName(mailServer)), JSON.stringify(withoutFreeProperties(resourceSchema(CHARTS))));
