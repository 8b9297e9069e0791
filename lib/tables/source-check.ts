/**
 * What is wrong with the source of a table, before anything is made of it: the warnings that postmap, postalias or a lookup
 * would log, with the line. Pure; a type whose file is no list of rows or rules (pgsql: and its like) has none.
 */
import { aliasEntries } from './alias-source.ts';
import { readCidrRules } from './cidr.ts';
import { readRules } from './expression-table.ts';
import type { OpenRequest } from './open.ts';
import { pcreSyntax } from './pcre.ts';
import { postmapEntries } from './postmap-source.ts';
import { regexpSyntax } from './regexp.ts';
import { resolveFlags } from './table.ts';

/** Warnings for one source; a source full of mistakes need not be told line by line. */
const LIMIT = 20;

/** `kind`: `postmap` or `aliases` for rows, or the type by which a file is read. */
export function sourceWarnings(kind: string, name: string, text: string): string[] {
  const warnings: string[] = [];
  const warn = (warning: string): void => {
    if (warnings.length < LIMIT) warnings.push(warning);
  };
  const flags = resolveFlags();
  const request: OpenRequest = {
    type: kind,
    name,
    context: { directory: '/', warn, signal: new AbortController().signal },
    flags,
  };
  const rows = { file: name, directory: '/', flags, warn };
  switch (kind) {
    case 'postmap':
    case 'texthash':
      for (const _ of postmapEntries(text, rows));
      break;
    case 'aliases':
      for (const _ of aliasEntries(text, rows));
      break;
    case 'cidr':
      readCidrRules(request, text);
      break;
    case 'regexp':
      readRules(request, regexpSyntax, text);
      break;
    case 'pcre':
      readRules(request, pcreSyntax, text);
      break;
  }
  return warnings;
}
