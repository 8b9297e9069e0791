/** Tables for tests: a folder that goes with the test, and a context that keeps what is logged. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTable } from '../../lib/tables/open.ts';
import type { Table, TableContext, TableFlags } from '../../lib/tables/table.ts';

export interface TestTables extends AsyncDisposable {
  readonly folder: string;
  /** Warnings and errors, in order. */
  readonly lines: string[];
  readonly context: TableContext;
  /** Writes a file into the folder; the result is its path. */
  file(name: string, text: string): Promise<string>;
  /** Opens a table that is closed in the end. */
  open(spec: string, flags?: TableFlags): Promise<Table>;
}

export async function testTables(overrides: Partial<TableContext> = {}): Promise<TestTables> {
  const folder = await mkdtemp(join(tmpdir(), 'postfleet-test-tables-'));
  const abort = new AbortController();
  const lines: string[] = [];
  const tables: Table[] = [];
  const context: TableContext = {
    directory: folder,
    warn: (text) => void lines.push(`warning: ${text}`),
    error: (text) => void lines.push(`error: ${text}`),
    signal: abort.signal,
    ...overrides,
  };
  return {
    folder,
    lines,
    context,
    async file(name, text) {
      const path = join(folder, name);
      await writeFile(path, text);
      return path;
    },
    async open(spec, flags) {
      const table = await openTable(spec, context, flags);
      tables.push(table);
      return table;
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      for (const table of tables) await table.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
