/**
 * `unix:passwd.byname` and `unix:group.byname`: the users and groups of the host, by name; the result is the entry as
 * it stands in /etc/passwd or /etc/group (DATABASE_README).
 */
import { readFile } from 'node:fs/promises';
import { decodeBytes } from '../util/byte-text.ts';
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { ReloadingFile } from './reloading.ts';
import { type LookupResult, type MaybePromise, type Table, TableOpenError, TRUSTED_OWNER } from './table.ts';

const FILES: Readonly<Record<string, string>> = { 'passwd.byname': '/etc/passwd', 'group.byname': '/etc/group' };

class UnixTable extends FixedTable {
  readonly #file: ReloadingFile<ReadonlyMap<string, string>>;

  constructor(request: OpenRequest, file: ReloadingFile<ReadonlyMap<string, string>>) {
    super(request.type, request.name, TRUSTED_OWNER, request.context, request.flags);
    this.#file = file;
  }

  protected find(key: string): MaybePromise<LookupResult> {
    const rows = this.#file.current();
    return rows instanceof Promise ? rows.then((read) => read.get(key)) : rows.get(key);
  }
}

export async function openTableType(request: OpenRequest): Promise<Table> {
  const path = Object.hasOwn(FILES, request.name) ? FILES[request.name] : undefined;
  if (path === undefined) throw new TableOpenError(`unknown table: unix:${request.name}`);
  const load = async (): Promise<ReadonlyMap<string, string>> => entriesByName(decodeBytes(await readFile(path)));
  return new UnixTable(
    request,
    await ReloadingFile.open({ paths: [path], load, warn: (text) => request.context.warn(text) }),
  );
}

function entriesByName(text: string): ReadonlyMap<string, string> {
  const rows = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (colon > 0 && !line.startsWith('#') && !rows.has(name)) rows.set(name, line);
  }
  return rows;
}
