/** Services that start while Postgres is away look up in the tables that their host has kept, or ask clients to come again. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostgres } from '../support/postgres.ts';
import { serverFolder } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { converse, startInstance } from './instance.ts';

async function reply(port: number, recipient: string): Promise<string> {
  const lines = ['EHLO client.example\r\n', 'MAIL FROM:<sender@example.com>\r\n', `RCPT TO:<${recipient}>\r\n`];
  return (await converse(port, lines)).at(-1)!;
}

test('smtpd and trivial-rewrite start without Postgres', { timeout: 240_000 }, async () => {
  await using server = await startPostgres();
  await using database = await server.createDatabase();
  const folder = await serverFolder('kept');
  const aliases = join(folder, 'virtual');
  const access = join(folder, 'access');
  writeFileSync(aliases, 'ann@virtual.example root@localhost\n');
  writeFileSync(access, 'refused@virtual.example REJECT\n');
  await using instance = await startInstance({
    shape: 'many',
    mainCf: `virtual_alias_domains = virtual.example
virtual_alias_maps = hash:${aliases}
smtpd_recipient_restrictions = check_recipient_access hash:${access}
`,
    environment: { POSTFLEET_POSTGRES_URL: database.url, TMPDIR: folder },
  });
  await instance.command('postmap', [`hash:${aliases}`, `hash:${access}`]);
  await until('the tables are seen', async () => (await reply(instance.port, 'ann@virtual.example')).startsWith('250'));
  assert.match(await reply(instance.port, 'nobody@virtual.example'), /^550 5\.1\.1 /);
  await server.kill();
  const started = instance.log().length;
  const services = ['smtp.inet', 'rewrite.unix', 'cleanup.unix'];
  const pids = () =>
    services.map((name) => Number(readFileSync(join(instance.directory, `var/run/${name}.service.pid`), 'utf8')));
  for (const pid of pids()) process.kill(pid, 'SIGKILL');
  await until('smtpd answers again', async () => {
    const text = await reply(instance.port, 'ann@virtual.example').catch(() => '');
    return text.startsWith('250');
  });
  assert.match(await reply(instance.port, 'nobody@virtual.example'), /^550 5\.1\.1 /);
  assert.match(await reply(instance.port, 'refused@virtual.example'), /^554 5\.7\.1 /);
  assert.match(
    instance.log().slice(started),
    /smtpd\[\d+\]: warning: hash:.*virtual: cannot ask the database: the copy of version 1 serves for now: /,
  );
  await server.restart();
});
