/**
 * The checks of `postfleet check -f FILE`: what the API server and the operator would refuse of each MailServer in a file of YAML
 * documents, with the line on which its field stands. Documents of other kinds are left alone, so that what helm renders can be checked
 * as it is. Pure.
 */
import { type Document, isMap, isNode, LineCounter, parseAllDocuments } from 'yaml';
import { checkMailServer, type Resource } from '../../lib/mailserver/check.ts';
import { customResourceDefinition } from '../../lib/mailserver/crd.ts';
import { API_VERSION, KIND } from '../../lib/mailserver/schema.ts';
import { type FieldSchema, unknownFields } from './unknown-fields.ts';

export interface FileProblem {
  readonly severity: 'error' | 'warning' | 'notice';
  /** "mailserver.yaml:12: spec.mainCf.myhostname: …" */
  readonly text: string;
}

const GROUP = API_VERSION.replace(/\/.*/, '');
/** Documents in one file. */
const MOST_DOCUMENTS = 1000;

export function checkManifest(file: string, text: string): FileProblem[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if (!Array.isArray(documents)) return [{ severity: 'error', text: `${file}: there is nothing in it` }];
  if (documents.length > MOST_DOCUMENTS)
    return [{ severity: 'error', text: `${file}: more than ${MOST_DOCUMENTS} documents` }];
  const problems: FileProblem[] = [];
  let found = 0;
  for (const document of documents) {
    for (const error of document.errors) {
      const { line } = lines.linePos(error.pos[0]);
      problems.push({ severity: 'error', text: `${file}:${line}: ${error.message}` });
    }
    if (document.errors.length > 0) continue;
    const resource = document.toJS() as unknown;
    if (!isMailServer(resource)) continue;
    found++;
    for (const field of unknownFields(resource, schema())) {
      problems.push({
        severity: 'error',
        text: `${file}:${lineOf(document, field, lines)}: ${field}: there is no such field`,
      });
    }
    for (const { severity, field, text: problem } of checkMailServer(resource).problems) {
      problems.push({ severity, text: `${file}:${lineOf(document, field, lines)}: ${field}: ${problem}` });
    }
  }
  if (found === 0 && problems.length === 0)
    problems.push({ severity: 'error', text: `${file}: there is no ${KIND} in it` });
  return problems;
}

/** What the API server knows of a MailServer. */
function schema(): FieldSchema {
  const { spec } = customResourceDefinition() as unknown as {
    spec: { versions: readonly { schema: { openAPIV3Schema: FieldSchema } }[] };
  };
  return spec.versions[0]!.schema.openAPIV3Schema;
}

/** Of our group, whatever its version: a wrong one is a mistake that somebody wants to hear of. */
function isMailServer(resource: unknown): resource is Resource {
  if (typeof resource !== 'object' || resource === null) return false;
  const { apiVersion, kind } = resource as Resource;
  return kind === KIND || String(apiVersion).startsWith(`${GROUP}/`);
}

/** The line of a field such as "spec.masterCf[2].type"; of what is nearest above it where it is missing. */
function lineOf(document: Document, field: string, lines: LineCounter): number {
  const path = [...field.matchAll(/([^.[\]]+)/g)].map(([part]) => (/^\d+$/.test(part) ? Number(part) : part));
  for (let length = path.length; length > 0; length--) {
    const parent: unknown = document.getIn(path.slice(0, length - 1), true);
    const at: unknown = isMap(parent)
      ? parent.items.find(({ key }) => String(key) === String(path[length - 1]))?.key
      : document.getIn(path.slice(0, length), true);
    if (isNode(at) && at.range) return lines.linePos(at.range[0]).line;
  }
  const [start = 0] = document.contents?.range ?? [];
  return lines.linePos(start).line;
}
