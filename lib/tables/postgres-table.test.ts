import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startPostgres, type TestDatabase } from '../../test/support/postgres.ts';
import { openTable } from './open.ts';
import { PostgresRows } from './postgres-rows.ts';
import { openPostgresWriter } from './postgres-writer.ts';
import { type Table, TableError } from './table.ts';

const run = promisify(execFile);
const server = await startPostgres();
after(() => server[Symbol.asyncDispose]());

interface Fleet extends AsyncDisposable {
  readonly folder: string;
  readonly warnings: string[];
  /** A table as one process of the fleet sees it. */
  process(): Promise<Table>;
}

async function fleet(database: TestDatabase): Promise<Fleet> {
  const folder = await mkdtemp(join(tmpdir(), 'postfleet-test-tables-'));
  const abort = new AbortController();
  const warnings: string[] = [];
  const tables: Table[] = [];
  const warn = (text: string): void => void warnings.push(text);
  return {
    folder,
    warnings,
    async process() {
      const rows = new PostgresRows({
        pool: database.pool,
        connectionString: database.url,
        warn,
        folder: join(folder, 'copies'),
      });
      const table = await openTable('hash:virtual', { directory: folder, warn, signal: abort.signal, database: rows });
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

async function replace(database: TestDatabase, folder: string, rows: Iterable<[string, string]>): Promise<void> {
  const options = { mode: 'create', duplicates: 'warn', label: 'virtual', warn: () => undefined } as const;
  await using writer = await openPostgresWriter(database.pool, join(folder, 'virtual'), options);
  for (const [key, value] of rows) await writer.put(key, value);
  await writer.commit();
}

/** Waits until a lookup gives that value, once the database is back. */
async function eventually(table: Table, key: string, value: string): Promise<void> {
  const end = performance.now() + 15_000;
  while ((await Promise.resolve(table.lookup(key)).catch(() => undefined)) !== value) {
    assert.ok(performance.now() < end, 'the change was not seen');
    await delay(20);
  }
}

/** Waits until a lookup gives that value, a second at most. */
async function becomes(table: Table, key: string, value: string | undefined): Promise<void> {
  const end = performance.now() + 1000;
  for (;;) {
    const found = await table.lookup(key);
    if (found === value) return;
    assert.ok(performance.now() < end, `${key} is ${found}, not ${value}, after a second`);
    await delay(5);
  }
}

test('a table changed by postmap or by SQL is seen by every process within a second', async () => {
  await using database = await server.createDatabase();
  await using site = await fleet(database);
  await replace(database, site.folder, [
    ['a@example', 'one'],
    ['b@example', 'two'],
  ]);
  const tables = [await site.process(), await site.process()];
  for (const table of tables) await becomes(table, 'A@Example', 'one');

  await replace(database, site.folder, [['a@example', 'three']]);
  for (const table of tables) {
    await becomes(table, 'a@example', 'three');
    await becomes(table, 'b@example', undefined);
  }

  const path = join(site.folder, 'virtual');
  await database.pool.query('insert into lookup_row (table_id, key, value) values (lookup_table_id($1), $2, $3)', [
    path,
    'b@example',
    'four',
  ]);
  for (const table of tables) await becomes(table, 'b@example', 'four');
  await database.pool.query("update lookup_row set value = 'five' where table_id = lookup_table_id($1)", [path]);
  for (const table of tables) await becomes(table, 'a@example', 'five');
  await database.pool.query("delete from lookup_row where table_id = lookup_table_id($1) and key = 'a@example'", [
    path,
  ]);
  for (const table of tables) await becomes(table, 'a@example', undefined);
  await database.pool.query('delete from lookup_table where name = $1', [path]);
});

test('the source beside serves until the database has the table, and again when it is gone', async () => {
  await using database = await server.createDatabase();
  await using site = await fleet(database);
  await writeFile(join(site.folder, 'virtual'), 'a@example local\n');
  const table = await site.process();
  assert.equal(await table.lookup('a@example'), 'local');
  await replace(database, site.folder, [['a@example', 'shared']]);
  await becomes(table, 'a@example', 'shared');
  await database.pool.query('delete from lookup_table');
  await becomes(table, 'a@example', 'local');
});

test('a table that is nowhere is a failure of the lookup until it is somewhere', async () => {
  await using database = await server.createDatabase();
  await using site = await fleet(database);
  const table = await site.process();
  await assert.rejects(Promise.resolve(table.lookup('key')), (error) => {
    assert.ok(error instanceof TableError, String(error));
    return /neither the database nor this host has the table: open .*virtual/.test(error.message);
  });
  await writeFile(join(site.folder, 'virtual'), 'key value\n');
  assert.equal(await table.lookup('key'), 'value');
});

test('a table opened before the database has its schema is found once it has', async () => {
  await using database = await server.createDatabase();
  await using site = await fleet(database);
  await writeFile(join(site.folder, 'virtual'), 'a@example local\n');
  await database.pool.query('alter table lookup_table rename to lookup_table_later');
  const table = await site.process();
  await assert.rejects(async () => await table.lookup('a@example'), TableError);
  await database.pool.query('alter table lookup_table_later rename to lookup_table');
  assert.equal(await table.lookup('a@example'), 'local');
  await replace(database, site.folder, [['a@example', 'shared']]);
  await becomes(table, 'a@example', 'shared');
});

test('a new version that fails half way leaves the old one, and no lookup sees a part of it', async () => {
  await using database = await server.createDatabase();
  await using site = await fleet(database);
  await replace(database, site.folder, [['a@example', 'old']]);
  const table = await site.process();
  await becomes(table, 'a@example', 'old');
  {
    const options = { mode: 'create', duplicates: 'warn', label: 'virtual', warn: () => undefined } as const;
    await using writer = await openPostgresWriter(database.pool, join(site.folder, 'virtual'), options);
    for (let row = 0; row < 50_000; row++) await writer.put(`user${row}@example`, 'new');
    assert.equal(await table.lookup('a@example'), 'old');
  }
  assert.equal(await table.lookup('a@example'), 'old');
  const { rows } = await database.pool.query('select count(*)::int as count from lookup_row');
  assert.equal(rows[0].count, 1);
});

test('a table too large for memory is copied to a file and follows changes', async () => {
  await using database = await server.createDatabase();
  await using site = await fleet(database);
  function* many(value: string, count = 30_000): Generator<[string, string]> {
    for (let row = 0; row < count; row++) yield [`user${row}@example`, value];
  }
  await replace(database, site.folder, many('one'));
  const table = await site.process();
  await becomes(table, 'user29999@example', 'one');
  const changed = [...many('one')];
  changed[7] = ['user7@example', 'seven'];
  changed.push(['new@example', 'n']);
  changed.splice(8, 1);
  await replace(database, site.folder, changed);
  await becomes(table, 'user7@example', 'seven');
  await becomes(table, 'new@example', 'n');
  await becomes(table, 'user8@example', undefined);
  await becomes(table, 'user9@example', 'one');
  await replace(database, site.folder, many('two'));
  await becomes(table, 'user9@example', 'two');
  await becomes(table, 'new@example', undefined);
});

test('without the database the copy goes on answering, and catches up afterwards', async () => {
  const own = await startPostgres();
  try {
    await using database = await own.createDatabase();
    await using site = await fleet(database);
    await replace(database, site.folder, [['a@example', 'one']]);
    const table = await site.process();
    await becomes(table, 'a@example', 'one');
    await own.kill();
    for (let round = 0; round < 3; round++) {
      assert.equal(await table.lookup('a@example'), 'one');
      await delay(200);
    }
    await own.restart();
    await replace(database, site.folder, [['a@example', 'two']]);
    await eventually(table, 'a@example', 'two');
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

test('a process that starts without the database uses what the host has kept', async () => {
  const own = await startPostgres();
  try {
    await using database = await own.createDatabase();
    await using site = await fleet(database);
    await replace(database, site.folder, [['a@example', 'one']]);
    await becomes(await site.process(), 'a@example', 'one');
    await own.kill();
    const late = await site.process();
    assert.equal(await late.lookup('a@example'), 'one');
    assert.equal(await late.lookup('b@example'), undefined);
    assert.ok(
      site.warnings.some((line) => /virtual: cannot ask the database: the copy of version 1 serves/.test(line)),
    );
    await own.restart();
    await replace(database, site.folder, [['a@example', 'two']]);
    await eventually(late, 'a@example', 'two');
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

test('a process that starts without the database uses the local file where the database had no such table', async () => {
  const own = await startPostgres();
  try {
    await using database = await own.createDatabase();
    await using site = await fleet(database);
    await writeFile(join(site.folder, 'virtual'), 'a@example local\n');
    assert.equal(await (await site.process()).lookup('a@example'), 'local');
    await own.kill();
    const late = await site.process();
    assert.equal(await late.lookup('a@example'), 'local');
    assert.ok(site.warnings.some((line) => /cannot ask the database: the local file serves for now: /.test(line)));
    await own.restart();
    await replace(database, site.folder, [['a@example', 'shared']]);
    await eventually(late, 'a@example', 'shared');
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

test('a process that starts without the database says so where the host has kept nothing', async () => {
  const own = await startPostgres();
  try {
    await using database = await own.createDatabase();
    await using site = await fleet(database);
    await replace(database, site.folder, [['a@example', 'one']]);
    await own.kill();
    const table = await site.process();
    await assert.rejects(async () => await table.lookup('a@example'), TableError);
    assert.match(site.warnings[0]!, /no copy is on this host: lookups fail for now: /);
    await own.restart();
    await eventually(table, 'a@example', 'one');
  } finally {
    await own[Symbol.asyncDispose]();
  }
});

test('postmap puts a table into the database, changes it, queries it and lists it', async () => {
  await using database = await server.createDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'postfleet-test-postmap-'));
  try {
    await writeFile(join(folder, 'main.cf'), `postfleet_postgres_url = ${database.url}\n`);
    await writeFile(join(folder, 'virtual'), 'B@example two\na@example one\na@example other\n');
    const postmap = async (args: string[], input = ''): Promise<string> => {
      const script = join(import.meta.dirname, '../../test/conformance/adapters/postmap.ts');
      const child = run(process.execPath, ['--disable-warning=ExperimentalWarning', script, '-c', folder, ...args], {
        cwd: folder,
      });
      child.child.stdin?.end(input);
      const { stdout, stderr } = await child.catch((error: { stdout: string; stderr: string }) => error);
      return stdout + stderr;
    };
    assert.equal(await postmap(['hash:virtual']), 'postmap: warning: virtual: duplicate entry: "a@example"\n');
    assert.equal(await postmap(['-s', 'hash:virtual']), 'a@example\tone\nb@example\ttwo\n');
    assert.equal(await postmap(['-i', '-r', 'hash:virtual'], 'a@example three\nc@example\tfour\tfive\n'), '');
    assert.equal(await postmap(['-q', 'C@example', 'hash:virtual']), 'four\tfive\n');
    assert.equal(await postmap(['-q', 'a@example', 'lmdb:virtual']), 'three\n');
    assert.equal(await postmap(['-d', 'a@example', 'hash:virtual']), '');
    assert.equal(await postmap(['-q', 'a@example', 'hash:virtual']), '');
    assert.match(
      await postmap(['-q', 'a@example', 'hash:nowhere']),
      /^postmap: fatal: table hash:.*nowhere: query error: neither the database nor this host has the table: .*\n$/,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
