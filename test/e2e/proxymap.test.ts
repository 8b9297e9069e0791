/** Tables behind proxy: in a whole instance, in both shapes: one that is approved, one that is not, and none that answers. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { postgresServer } from '../support/postgres.ts';
import { serverFolder } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { converse, type Shape, startInstance } from './instance.ts';

async function recipientReplies(port: number, recipients: readonly string[]): Promise<string[]> {
  const lines = ['EHLO client.example\r\n', 'MAIL FROM:<sender@example.com>\r\n'];
  const replies = await converse(port, [...lines, ...recipients.map((recipient) => `RCPT TO:<${recipient}>\r\n`)]);
  return replies.slice(3);
}

for (const shape of ['one', 'many'] as const satisfies readonly Shape[]) {
  test(`recipients are looked up through proxymap (${shape})`, async () => {
    const server = await postgresServer();
    await using database = await server.createDatabase();
    await database.pool.query(
      "create table users as select 'ann@virtual.example' as address, 'ann@localhost' as target",
    );
    const folder = await serverFolder('proxymap');
    const users = join(folder, 'users.cf');
    writeFileSync(users, `hosts = ${database.url}\nquery = select target from users where address = '%s'\n`);
    writeFileSync(join(folder, 'refused'), 'x y\n');
    await using instance = await startInstance({
      shape,
      mainCf: `virtual_alias_domains = virtual.example
virtual_alias_maps = proxy:pgsql:${users}
smtpd_recipient_restrictions = check_recipient_access inline:{other@virtual.example=unapproved}
smtpd_restriction_classes = unapproved
unapproved = check_recipient_access proxy:texthash:${join(folder, 'refused')}
`,
    });
    const [ann, nobody, other] = await recipientReplies(instance.port, [
      'ann@virtual.example',
      'nobody@virtual.example',
      'other@virtual.example',
    ]);
    assert.match(ann!, /^250 2\.1\.5 /);
    assert.match(nobody!, /^550 5\.1\.1 .*User unknown in virtual alias table/);
    assert.match(other!, /^451 4\.3\.5 /);
    await instance.logged(/proxymap\[\d+\]: warning: request for unapproved table: "texthash:.*refused"/);
    if (shape === 'many') {
      const pidFile = join(instance.directory, 'var/run/proxymap.unix.service.pid');
      process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
      // Started again by the master, it answers as before.
      await until('proxymap answers again', async () => {
        const [reply] = await recipientReplies(instance.port, ['ann@virtual.example']);
        assert.match(reply!, /^(?:250|451) /);
        return reply!.startsWith('250');
      });
    }
  });
}
