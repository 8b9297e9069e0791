import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { MailServerSpec } from '../../lib/mailserver/schema.ts';
import { createDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { TableLoader } from './tables.ts';

let database: TestDatabase;
before(async () => {
  database = await createDatabase();
});
after(() => database?.[Symbol.asyncDispose]());

const load = (loader: TableLoader, texts: Readonly<Record<string, string>>) => {
  const tables = Object.fromEntries(Object.keys(texts).map((name) => [name, { format: 'postmap' }]));
  return loader.load(
    'n/m',
    'stores',
    database.pool,
    { tables } as unknown as MailServerSpec,
    new Map(Object.entries(texts)),
  );
};

/** Names of tables with the transaction that wrote them last. */
async function written(): Promise<Map<string, string>> {
  const { rows } = await database.pool.query<{ name: string; xmin: string }>(
    'select name, xmin::text from lookup_table',
  );
  return new Map(rows.map(({ name, xmin }) => [name, xmin]));
}

test('an operator that starts again rewrites nothing, and warns of what it warned of', async () => {
  const texts = { virtual: 'a@example.test ann\nnovalue\na@example.test bob\n' };
  const problems = await load(new TableLoader(), texts);
  assert.equal(problems.length, 2);
  await database.pool.query("update lookup_row set value = 'by hand'");
  const before = await written();
  assert.deepEqual(await load(new TableLoader(), texts), problems);
  assert.deepEqual(await written(), before);
  assert.equal((await database.pool.query('select value from lookup_row')).rows[0].value, 'by hand');
});

test('a table that went from the spec while the operator was down goes', async () => {
  await load(new TableLoader(), { virtual: 'a@example.test ann\n', access: 'b@example.test OK\n' });
  await database.pool.query("insert into lookup_table (name) values ('/etc/postfix/of-somebody-else')");
  await load(new TableLoader(), { access: 'b@example.test OK\n' });
  assert.deepEqual([...(await written()).keys()].sort(), ['/etc/postfix/access', '/etc/postfix/of-somebody-else']);
});

test('a table whose rows somebody has removed is written by the operator that starts next', async () => {
  await load(new TableLoader(), { access: 'b@example.test OK\n' });
  await database.pool.query("delete from lookup_table where name = '/etc/postfix/access'");
  await load(new TableLoader(), { access: 'b@example.test OK\n' });
  assert.equal((await written()).has('/etc/postfix/access'), true);
});
