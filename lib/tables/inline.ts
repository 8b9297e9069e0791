/** `inline:{ key=value, { key = text with blanks } }`: a table that stands in main.cf itself (DATABASE_README). */
import { caseFold } from '../util/case-fold.ts';
import { splitKeyValue, splitOutsideBraces, unbrace } from '../util/split.ts';
import { encodeFiles } from './file-value.ts';
import { MemoryTable } from './memory-table.ts';
import type { OpenRequest } from './open.ts';
import { type Table, TableOpenError, TRUSTED_OWNER } from './table.ts';

export function openTableType(request: OpenRequest): Table {
  const { flags } = request;
  const need = `"inline:${request.name}"; need "inline:{name=${flags.valueIsFile ? 'filename' : 'value'}...}"`;
  const outer = request.name.startsWith('{') ? unbrace(request.name) : { text: '', error: 'bad syntax' };
  if (outer.error !== undefined) throw new TableOpenError(`bad syntax: ${need}`);
  const items = splitOutsideBraces(outer.text);
  if (items.length === 0) throw new TableOpenError(`empty table: ${need}`);
  const rows = new Map<string, string>();
  for (const item of items) {
    const [key, value] = parseEntry(item, need);
    const folded = flags.foldFixed ? caseFold(key, flags.utf8) : key;
    rows.set(folded, flags.valueIsFile ? valueOfFiles(value, request.context.directory, need) : value);
  }
  return new MemoryTable(request, rows, TRUSTED_OWNER);
}

function parseEntry(item: string, need: string): [string, string] {
  let text = item;
  if (item.startsWith('{')) {
    const braced = unbrace(item);
    if (braced.error !== undefined) throw new TableOpenError(`${braced.error}: ${need}`);
    text = braced.text;
  }
  const pair = splitKeyValue(text);
  if ('error' in pair) throw new TableOpenError(`${pair.error}: ${need}`);
  return [pair.name, pair.value];
}

function valueOfFiles(value: string, directory: string, need: string): string {
  try {
    return encodeFiles(value, directory);
  } catch (error) {
    throw error instanceof TableOpenError ? new TableOpenError(`${error.message}: ${need}`) : error;
  }
}
