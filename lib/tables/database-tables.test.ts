import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../test/support/context.ts';
import { postgresServer } from '../../test/support/postgres.ts';
import { type ServerProcess, serverFolder, startServer } from '../../test/support/servers.ts';
import { type TestTables, testTables } from '../../test/support/tables.ts';
import { isWritable, TableError } from './table.ts';

const run = promisify(execFile);

/** Skips with a line where a server is not installed. */
function needs(context: TestContext, path: string): boolean {
  if (existsSync(path)) return true;
  context.skip(`${path} is not installed`);
  return false;
}

async function accepts(target: { port: number; host: string } | { path: string }): Promise<void> {
  for (let tries = 0; ; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(target, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (open) return;
    if (tries > 500) throw new Error('the server does not answer');
    await delay(20);
  }
}

const USERS: readonly (readonly [string, string | null])[] = [
  ['ann@example.com', 'ann@mail.example.com'],
  ['bob@example.com', 'bob@one.example'],
  ['bob@example.com', 'bob@two.example'],
  ["o'hara\\@example.com", 'ohara@example.net'],
  ['empty@example.com', ''],
  ['null@example.com', null],
];

/** What every SQL table does, whatever the server. `client` are the lines of the .cf file that reach it. */
async function checkSql(type: string, tables: TestTables, client: string): Promise<void> {
  const query = "query = SELECT target FROM users WHERE address = '%s' ORDER BY target";
  const open = async (lines: string) =>
    await tables.open(`${type}:${await tables.file(`${type}.cf`, `${client}\n${lines}\n`)}`);
  const plain = await open(query);
  assert.equal(await plain.lookup('ANN@example.com'), 'ann@mail.example.com');
  assert.equal(await plain.lookup('bob@example.com'), 'bob@one.example,bob@two.example');
  assert.equal(await plain.lookup("o'hara\\@example.com"), 'ohara@example.net');
  assert.equal(await plain.lookup("' OR '1'='1"), undefined);
  assert.equal(await plain.lookup('empty@example.com'), undefined);
  assert.equal(await plain.lookup('null@example.com'), undefined);
  assert.equal(await plain.lookup('nobody@example.com'), undefined);

  const limited = await open(`${query}\nexpansion_limit = 1`);
  await assert.rejects(async () => await limited.lookup('bob@example.com'), TableError);
  assert.equal(await limited.lookup('ann@example.com'), 'ann@mail.example.com');

  const formatted = await open(`${query}\nresult_format = smtp:[%d] %U`);
  assert.equal(await formatted.lookup('ann@example.com'), 'smtp:[mail.example.com] ann');

  const domains = await open(`${query}\ndomain = example.org, inline:{example.net=x}`);
  assert.equal(await domains.lookup('ann@example.com'), undefined);

  const parts = await open("query = SELECT '%u/%d/%1/%2/%%'");
  assert.equal(await parts.lookup('ann@mail.example.com'), 'ann/mail.example.com/com/example/%');
  assert.equal(await parts.lookup('ann'), undefined);

  const legacy = await open(
    'table = users\nselect_field = target\nwhere_field = address\nadditional_conditions = ORDER BY target',
  );
  assert.equal(await legacy.lookup('bob@example.com'), 'bob@one.example,bob@two.example');

  const wrong = await open('query = SELECT nothing FROM nowhere');
  await assert.rejects(async () => await wrong.lookup('ann@example.com'), TableError);
}

test('sqlite tables', async () => {
  await using tables = await testTables();
  const path = join(tables.folder, 'users.sqlite');
  const database = new DatabaseSync(path);
  database.exec('create table users (address text, target text)');
  for (const user of USERS) database.prepare('insert into users values (?, ?)').run(...user);
  database.close();
  await checkSql('sqlite', tables, `dbpath = ${path}`);
  const missing = await tables.open(`sqlite:${await tables.file('missing.cf', 'dbpath = /nowhere\nquery = select 1')}`);
  assert.throws(() => missing.lookup('a'), TableError);
});

test('pgsql tables', async () => {
  const server = await postgresServer();
  await using database = await server.createDatabase();
  await using tables = await testTables();
  await database.pool.query('create table users (address text, target text)');
  for (const user of USERS) await database.pool.query('insert into users values ($1, $2)', [...user]);
  const account = `user = postgres\ndbname = ${database.name}`;
  await checkSql('pgsql', tables, `hosts = inet:127.0.0.1:${server.port}\n${account}`);
  await checkSql('pgsql', tables, `hosts = ${database.url}`);
  // The first host refuses, the second answers.
  await checkSql('pgsql', tables, `hosts = 127.0.0.1:1 127.0.0.1:${server.port}\n${account}`);
});

async function startMariadb(): Promise<{ server: ServerProcess; port: number; socket: string }> {
  const folder = await serverFolder('mariadb');
  const data = join(folder, 'data');
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  await run('/usr/bin/mariadb-install-db', [
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    ...asRoot,
  ]);
  const port = await freePort();
  const socket = join(folder, 'sock');
  const server = await startServer(folder, 'KILL', [
    '/usr/sbin/mariadbd',
    '--no-defaults',
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${socket}`,
    `--pid-file=${join(folder, 'pid')}`,
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-buffer-pool-size=16M',
    ...asRoot,
  ]);
  await server.line(/ready for connections/);
  return { server, port, socket };
}

test('mysql tables', async (context) => {
  if (!needs(context, '/usr/sbin/mariadbd')) return;
  const { server, port, socket } = await startMariadb();
  try {
    await using tables = await testTables();
    const literal = (text: string | null): string => (text === null ? 'NULL' : `'${text.replace(/['\\]/g, '\\$&')}'`);
    const rows = USERS.map(([address, target]) => `(${literal(address)}, ${literal(target)})`).join(', ');
    const sql = `create database mail; create user reader identified by 'secret'; grant select on mail.* to reader;
      create table mail.users (address varchar(200), target varchar(200)); insert into mail.users values ${rows};`;
    await run('/usr/bin/mariadb', ['--no-defaults', `--socket=${socket}`, '-u', 'root', '-e', sql]);
    const account = 'user = reader\npassword = secret\ndbname = mail';
    await checkSql('mysql', tables, `hosts = 127.0.0.1:${port}\n${account}`);
    await checkSql('mysql', tables, `hosts = unix:${socket}\n${account}`);
    await server.kill('KILL');
    const table = await tables.open(
      `mysql:${await tables.file('m.cf', `hosts = 127.0.0.1:${port}\n${account}\nquery = SELECT '%s'`)}`,
    );
    await assert.rejects(async () => await table.lookup('a'), TableError);
  } finally {
    await server.close();
  }
});

const DIRECTORY = `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: cn=ann,dc=example,dc=com
objectClass: inetOrgPerson
cn: ann
sn: ann
uid: ann*(x)
mail: ann@example.com
mail: ann@example.net

dn: cn=bob,dc=example,dc=com
objectClass: inetOrgPerson
cn: bob
sn: bob
mail: bob@example.com

dn: cn=team,dc=example,dc=com
objectClass: groupOfNames
cn: team
member: cn=ann,dc=example,dc=com
member: cn=bob,dc=example,dc=com
member: cn=team,dc=example,dc=com

dn: cn=links,dc=example,dc=com
objectClass: inetOrgPerson
cn: links
sn: links
labeledURI: ldap:///dc=example,dc=com?mail?sub?(cn=bob)
`;

test('ldap tables', async (context) => {
  if (!needs(context, '/usr/sbin/slapd')) return;
  const folder = await serverFolder('slapd');
  const port = await freePort();
  await mkdir(join(folder, 'db'));
  await writeFile(join(folder, 'data.ldif'), DIRECTORY);
  await writeFile(
    join(folder, 'slapd.conf'),
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 10485760
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw secret
directory ${folder}/db
access to * by dn.exact="cn=admin,dc=example,dc=com" write by users read by anonymous auth
`,
  );
  await run('/usr/sbin/slapadd', ['-f', join(folder, 'slapd.conf'), '-l', join(folder, 'data.ldif')]);
  const socket = join(folder, 'sock');
  const urls = `ldap://127.0.0.1:${port} ldapi://${encodeURIComponent(socket)}`;
  const server = await startServer(folder, 'KILL', [
    '/usr/sbin/slapd',
    '-d',
    '0',
    '-h',
    urls,
    '-f',
    join(folder, 'slapd.conf'),
  ]);
  try {
    await accepts({ host: '127.0.0.1', port });
    await using tables = await testTables();
    const base = `server_host = ldap://127.0.0.1:${port}\nsearch_base = dc=example,dc=com\nbind_dn = cn=admin,dc=example,dc=com\nbind_pw = secret\nversion = 3`;
    const open = async (lines: string, head = base) =>
      await tables.open(`ldap:${await tables.file('l.cf', `${head}\n${lines}\n`)}`);

    const mail = await open('query_filter = cn=%s\nresult_attribute = mail');
    assert.equal(await mail.lookup('bob'), 'bob@example.com');
    assert.equal(await mail.lookup('ann'), 'ann@example.com,ann@example.net');
    assert.equal(await mail.lookup('*'), undefined);
    assert.equal(await mail.lookup('nobody'), undefined);

    const special = await open('query_filter = uid=%s\nresult_attribute = cn');
    assert.equal(await special.lookup('ann*(x)'), 'ann');

    const group = await open(
      'query_filter = cn=%s\nresult_attribute =\nspecial_result_attribute = member\nleaf_result_attribute = mail',
    );
    assert.equal(await group.lookup('team'), 'ann@example.com,ann@example.net,bob@example.com');
    const link = await open('query_filter = cn=%s\nresult_attribute = mail\nspecial_result_attribute = labeledURI');
    assert.equal(await link.lookup('links'), 'bob@example.com');

    const limited = await open('query_filter = cn=%s\nresult_attribute = mail\nexpansion_limit = 1');
    await assert.rejects(async () => await limited.lookup('ann'), TableError);
    const formatted = await open('query_filter = mail=%s\nresult_attribute = cn\nresult_format = %s+%U@%2');
    assert.equal(await formatted.lookup('bob@example.com'), 'bob+bob@example');
    const elsewhere = await open(
      'query_filter = cn=%s\nresult_attribute = mail',
      base.replace('dc=example,dc=com\nbind', 'dc=nowhere\nbind'),
    );
    assert.equal(await elsewhere.lookup('bob'), undefined);
    const socketed = await open(
      'query_filter = cn=%s\nresult_attribute = mail',
      base.replace(/ldap:\S+/, `ldapi://${encodeURIComponent(socket)}`),
    );
    assert.equal(await socketed.lookup('bob'), 'bob@example.com');
    const stranger = await open('query_filter = cn=%s', base.replace('secret', 'wrong'));
    await assert.rejects(async () => await stranger.lookup('bob'), TableError);

    await server.kill('KILL');
    await assert.rejects(async () => await mail.lookup('bob'), TableError);
    await server.start();
    await accepts({ host: '127.0.0.1', port });
    assert.equal(await mail.lookup('bob'), 'bob@example.com');
  } finally {
    await server.close();
  }
});

test('memcache tables', async (context) => {
  if (!needs(context, '/usr/bin/memcached')) return;
  const folder = await serverFolder('memcached');
  await chmod(folder, 0o755);
  if (process.getuid?.() === 0) await chown(folder, 65534, 65534);
  const port = await freePort();
  const server = await startServer(folder, 'KILL', [
    '/usr/bin/memcached',
    '-u',
    'nobody',
    '-l',
    '127.0.0.1',
    '-p',
    `${port}`,
    '-U',
    '0',
  ]);
  try {
    await accepts({ host: '127.0.0.1', port });
    await using tables = await testTables();
    const head = `memcache = inet:127.0.0.1:${port}`;
    const plain = await tables.open(`memcache:${await tables.file('m.cf', `${head}\nkey_format = t:%s`)}`);
    assert.ok(isWritable(plain));
    assert.equal(await plain.lookup('a'), undefined);
    await plain.put('a', 'one\r\nEND\r\n');
    assert.equal(await plain.lookup('A'), 'one\r\nEND\r\n');
    assert.equal(await plain.delete('a'), true);
    assert.equal(await plain.delete('a'), false);
    assert.equal(await plain.lookup('a b\r\nflush_all'), undefined);

    const backed = await tables.open(
      `memcache:${await tables.file('b.cf', `${head}\nkey_format = b:%s\nbackup = inline:{k=v}`)}`,
    );
    assert.equal(await backed.lookup('k'), 'v');
    const cached = await tables.open(`memcache:${await tables.file('c.cf', `${head}\nkey_format = b:%s`)}`);
    assert.equal(await cached.lookup('k'), 'v');

    await server.kill('KILL');
    assert.equal(await backed.lookup('k'), 'v');
    const alone = await tables.open(`memcache:${await tables.file('a.cf', `${head}\nmax_try = 1`)}`);
    await assert.rejects(async () => await alone.lookup('k'), TableError);
  } finally {
    await server.close();
  }
});
