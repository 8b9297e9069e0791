/** `sqlite:/path.cf`: lookups in a file of SQLite (sqlite_table(5)). Queries run on the calling thread. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ClientSettings } from './client-settings.ts';
import { systemErrorText } from './file-value.ts';
import type { OpenRequest } from './open.ts';
import { doubleQuotes, openKeyFilter, readQuerySettings, type SqlHost, type SqlRows, SqlTable } from './sql-table.ts';
import { ownerFromUserId, type Table, TableOpenError } from './table.ts';

export async function openTableType(request: OpenRequest): Promise<Table> {
  const settings = ClientSettings.read(request);
  const query = readQuerySettings(settings);
  const path = resolve(request.context.directory, settings.text('dbpath'));
  if (settings.text('dbpath') === '') throw new TableOpenError(`${settings.source}: need dbpath`);
  const host = openFile(path);
  const filter = await openKeyFilter(request, settings);
  const owner = ownerFromUserId(statSync(path).uid);
  return new SqlTable(request, { hosts: [host], settings: query, filter, quote: doubleQuotes, owner });
}

function openFile(path: string): SqlHost {
  let database: DatabaseSync;
  try {
    statSync(path);
    database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  } catch (error) {
    throw new TableOpenError(`open ${path}: ${systemErrorText(error)}`);
  }
  return {
    label: path,
    query(sql): SqlRows {
      const statement = database.prepare(sql);
      statement.setReturnArrays(true);
      const rows = statement.all() as unknown as (string | number | bigint | Uint8Array | null)[][];
      return rows.map((row) => row.map(asText));
    },
    close() {
      database.close();
      return Promise.resolve();
    },
  };
}

function asText(value: string | number | bigint | Uint8Array | null): string | null {
  if (value === null) return null;
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : String(value);
}
