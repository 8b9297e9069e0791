import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { RemoteClients } from '../../lib/clients/grpc.ts';
import { portClients, servePort } from '../../lib/clients/port.ts';
import { type Proxymap, Unavailable } from '../../lib/clients/protocols.ts';
import { proxyLookup } from '../../lib/server/proxy-lookup.ts';
import { listenRpc } from '../../lib/server/rpc-listener.ts';
import { openMaps } from '../../lib/tables/open.ts';
import { SENSITIVE, type TableContext, TableError } from '../../lib/tables/table.ts';
import { testContext } from '../../test/support/context.ts';
import { postgresServer } from '../../test/support/postgres.ts';
import { testTables } from '../../test/support/tables.ts';
import { approvedTables } from './approved-tables.ts';
import { service } from './main.ts';

const APPROVED: readonly (readonly [string, string, readonly string[]])[] = [
  ['tables that are not behind proxy: are not listed', 'hash:/etc/a, example.com', []],
  ['commas and blanks separate', 'proxy:hash:/etc/a,proxy:pgsql:/etc/b hash:/c', ['hash:/etc/a', 'pgsql:/etc/b']],
  ['braces belong to a name', 'proxy:inline:{ a=b, c=d }', ['inline:{ a=b, c=d }']],
  ['a restriction in braces', '{ check_sender_access proxy:hash:/etc/a, permit }', ['hash:/etc/a']],
  ['what is not meant', '!proxy:cidr:/etc/a', ['cidr:/etc/a']],
  ['proxy: once too often', 'proxy:proxy:hash:/etc/a', ['hash:/etc/a']],
  ['a name without a type', 'proxy:hash proxy::x', []],
  ['a brace that nobody closes', '{ proxy:hash:/etc/a', ['hash:/etc/a']],
];

for (const [what, text, expected] of APPROVED) {
  test(`approved tables: ${what}`, () => assert.deepEqual([...approvedTables(text)], expected));
}

type Reach = (proxymap: Proxymap) => Promise<{ proxymap: Proxymap } & AsyncDisposable>;

/** The ways in which a service reaches proxymap. */
const WAYS: Readonly<Record<string, Reach>> = {
  'a direct call': async (proxymap) => ({ proxymap, [Symbol.asyncDispose]: async () => undefined }),
  'another thread': async (proxymap) => {
    const { port1, port2 } = new MessageChannel();
    servePort(port1, () => ({ proxymap }));
    return { proxymap: portClients(port2).proxymap('proxymap'), [Symbol.asyncDispose]: async () => port1.close() };
  },
  gRPC: async (proxymap) => {
    const folder = mkdtempSync(join(tmpdir(), 'postfleet-proxymap-'));
    const address = `unix:${join(folder, 'proxymap.sock')}`;
    const log = { info() {}, warning() {}, error() {}, debug() {}, child: () => log };
    const listener = await listenRpc({ address, token: 'secret', implementation: { proxymap }, log });
    const clients = new RemoteClients({ address, token: 'secret' });
    return {
      proxymap: clients.proxymap('proxymap'),
      async [Symbol.asyncDispose]() {
        await clients[Symbol.asyncDispose]();
        await listener[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  },
};

/** What a service has that reaches that proxymap. */
function clientContext(context: TableContext, proxymap: Proxymap): TableContext {
  return { ...context, proxy: proxyLookup({ proxymap, service: 'proxymap', warn: (text) => context.warn(text) }) };
}

for (const [way, reach] of Object.entries(WAYS)) {
  test(`a table of Postgres through proxymap, by ${way}`, async () => {
    const server = await postgresServer();
    await using database = await server.createDatabase();
    await using tables = await testTables();
    await database.pool.query('create table users (address text, target text)');
    await database.pool.query("insert into users values ('ann@example.com', 'Änne@example.net')");
    const client = [
      `hosts = ${database.url}`,
      "query = select target from users where address = '%s'",
      'domain = example.com',
    ];
    const spec = `pgsql:${await tables.file('users.cf', `${client.join('\n')}\n`)}`;
    await using context = await testContext({
      name: 'proxymap',
      mainCf: `virtual_alias_maps = proxy:${spec}\n`,
      warnings: ['non-UTF-8 key "?@example.com"'],
    });
    const running = await service.start(context.service);
    await using reached = await reach(running.implementation.proxymap!);
    await using maps = await openMaps(
      'virtual_alias_maps',
      `proxy:${spec}`,
      clientContext(tables.context, reached.proxymap),
    );
    assert.equal(await maps.lookup('ANN@example.com'), 'Änne@example.net');
    assert.equal(await maps.lookup('bob@example.com'), undefined);
    assert.equal(await maps.lookup('\udcff@example.com'), undefined);
    const many = await Promise.all(Array.from({ length: 200 }, () => maps.lookup('ann@example.com')));
    assert.ok(many.every((value) => value === 'Änne@example.net'));
    const { rows } = await database.pool.query(
      "select count(*)::int as count from pg_stat_activity where datname = current_database() and query like '%users%' and pid <> pg_backend_pid()",
    );
    assert.ok(rows[0].count <= 4, `${rows[0].count} connections`);
    await running[Symbol.asyncDispose]();
    assert.deepEqual(tables.lines, []);
  });

  test(`a table that proxy_read_maps does not list is refused, by ${way}`, async () => {
    await using tables = await testTables();
    const spec = `hash:${await tables.file('secret', 'ann secret\n')}`;
    await using context = await testContext({
      name: 'proxymap',
      mainCf: `virtual_alias_maps = ${spec}\n`,
      warnings: [`request for unapproved table: "${spec}"`, `list proxy:${spec} in main.cf:proxy_read_maps`],
    });
    await using running = await service.start(context.service);
    await using reached = await reach(running.implementation.proxymap!);
    await using maps = await openMaps(
      'virtual_alias_maps',
      `proxy:${spec}`,
      clientContext(tables.context, reached.proxymap),
    );
    for (const key of ['ann', 'bob']) await assert.rejects(async () => await maps.lookup(key), TableError);
    assert.deepEqual(context.lines, [
      `warning: request for unapproved table: "${spec}"`,
      `warning: to approve this table for read-only access, list proxy:${spec} in main.cf:proxy_read_maps`,
    ]);
    assert.deepEqual(tables.lines, [
      `warning: proxymap service is not configured for table "${spec}"`,
      `warning: proxy:${spec} lookup error for "ann"`,
      `warning: proxy:${spec} lookup error for "bob"`,
    ]);
  });
}

test('a failing table is a temporary failure, with its reason', async () => {
  await using tables = await testTables();
  await using context = await testContext({
    name: 'proxymap',
    mainCf: 'virtual_alias_maps = proxy:fail:reason proxy:hash:/no/such/file\n',
    warnings: ['/no/such/file'],
  });
  await using running = await service.start(context.service);
  const client = clientContext(tables.context, running.implementation.proxymap!);
  for (const spec of ['proxy:fail:reason', 'proxy:hash:/no/such/file']) {
    await using maps = await openMaps('virtual_alias_maps', spec, client);
    await assert.rejects(async () => await maps.lookup('ann'), { name: 'TableError', message: new RegExp(spec) });
  }
});

test('a proxymap that does not answer is logged when it goes and when it is back', async () => {
  await using tables = await testTables();
  let away = true;
  const proxymap: Proxymap = {
    async lookup() {
      if (away) throw new Unavailable('connection refused');
      return { status: 1, value: Buffer.from('there'), reason: '' };
    },
  };
  await using maps = await openMaps('virtual_alias_maps', 'proxy:hash:x', clientContext(tables.context, proxymap));
  for (let count = 0; count < 2; count++) await assert.rejects(async () => await maps.lookup('ann'), TableError);
  away = false;
  assert.equal(await maps.lookup('ann'), 'there');
  assert.deepEqual(tables.lines, [
    'warning: service proxymap does not answer, lookups in proxy: tables fail for now: connection refused',
    'warning: proxy:hash:x lookup error for "ann"',
    'warning: proxy:hash:x lookup error for "ann"',
    'warning: service proxymap is back',
  ]);
});

test('a key is folded by proxymap, and matched as a whole where the table is one of patterns', async () => {
  await using tables = await testTables();
  await using context = await testContext({
    name: 'proxymap',
    mainCf:
      'virtual_alias_maps = proxy:inline:{ann=1} proxy:unionmap:{inline:{a=b},pcre:{{/x/ y}}} proxy:pcre:{{/^(A)nn$$/ $$1}}\n',
    warnings: ['regular expression substitution is not allowed'],
  });
  await using running = await service.start(context.service);
  const client = clientContext(tables.context, running.implementation.proxymap!);
  await using maps = await openMaps(
    'virtual_alias_maps',
    context.service.configuration.text('virtual_alias_maps'),
    client,
  );
  assert.equal(await maps.lookup('Ann'), '1');
  assert.deepEqual(
    maps.tables.map(({ partialKeys }) => partialKeys),
    [true, false, false],
  );
  await using patterns = await openMaps('virtual_alias_maps', 'proxy:pcre:{{/^(A)nn$/ $1}}', client);
  assert.equal(await patterns.lookup('Ann'), 'A');
  await using safe = await openMaps('alias_maps', 'proxy:pcre:{{/^(A)nn$/ $1}}', client, { noSubstitution: true });
  assert.equal(await safe.lookup('Ann'), undefined);
});

test('a table of security-sensitive data is opened by the service itself', async () => {
  await using tables = await testTables();
  const proxymap: Proxymap = { lookup: () => assert.fail('proxymap was asked') };
  await using maps = await openMaps(
    'virtual_uid_maps',
    'proxy:inline:{ann=1000}',
    clientContext(tables.context, proxymap),
    SENSITIVE,
  );
  assert.equal(await maps.lookup('ann'), '1000');
});
