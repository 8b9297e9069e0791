import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { testTables } from '../../test/support/tables.ts';
import { DomainList, NamaddrList, StringList } from './match-list.ts';
import { TableError } from './table.ts';

test('mynetworks: networks, hosts, negation, files and tables', async () => {
  await using tables = await testTables();
  const file = await tables.file('list', '# comment\n192.0.2.0/24\n!198.51.100.7 198.51.100.0/24\n');
  const cases: [string, string, string, boolean][] = [
    ['127.0.0.0/8 [::1]/128', 'localhost', '127.0.0.1', true],
    ['127.0.0.0/8 [::1]/128', 'localhost', '::1', true],
    ['127.0.0.0/8 [::1]/128', 'other', '10.0.0.1', false],
    ['!10.0.0.1, 10.0.0.0/8', 'x', '10.0.0.1', false],
    ['!10.0.0.1, 10.0.0.0/8', 'x', '10.0.0.2', true],
    [file, 'x', '192.0.2.9', true],
    [file, 'x', '198.51.100.7', false],
    [file, 'x', '198.51.100.8', true],
    [`!${file} 0.0.0.0/0`, 'x', '192.0.2.9', false],
    [`!${file} 0.0.0.0/0`, 'x', '203.0.113.1', true],
    ['cidr:{{10.0.0.0/8 ok}}', 'x', '10.9.9.9', true],
    ['Mail.Example.COM', 'mail.example.com', '10.0.0.1', true],
    ['hash:/nowhere/table', 'x', '10.0.0.1', false],
  ];
  for (const [patterns, name, address, expected] of cases) {
    await using list = await NamaddrList.open('mynetworks', patterns, tables.context);
    const answer = (async () => await list.matches(name, address))();
    if (patterns.startsWith('hash:')) await assert.rejects(answer, TableError);
    else assert.equal(await answer, expected, `${patterns} ${name}[${address}]`);
  }
});

test('domains match their subdomains where parent_domain_matches_subdomains says so, else with a leading dot', async () => {
  await using tables = await testTables();
  const cases: [string, string, boolean, boolean][] = [
    ['example.com', 'example.com', true, true],
    ['example.com', 'sub.example.com', false, true],
    ['example.com', 'notexample.com', false, false],
    ['.example.com', 'sub.example.com', true, false],
    ['.example.com', 'example.com', false, false],
    ['inline:{example.com=x}', 'a.b.example.com', false, true],
    ['inline:{.example.com=x}', 'a.b.example.com', true, false],
    ['static:all', 'any.thing', true, true],
    ['regexp:{{/^sub/ x}}', 'sub.example.com', true, true],
    ['regexp:{{/^example/ x}}', 'sub.example.com', false, false],
  ];
  for (const [patterns, name, plain, parents] of cases) {
    await using exact = await DomainList.open('relay_domains', patterns, tables.context);
    await using wide = await DomainList.open('relay_domains', patterns, tables.context, { parentDomains: true });
    assert.equal(await exact.matches(name), plain, `${patterns} ${name}`);
    assert.equal(await wide.matches(name), parents, `${patterns} ${name} with parents`);
  }
});

test('a list of strings knows no domains', async () => {
  await using tables = await testTables();
  await using list = await StringList.open('debug', 'One, !two, inline:{two=x}', tables.context);
  assert.equal(await list.matches('one'), true);
  assert.equal(await list.matches('TWO'), false);
  assert.equal(await list.matches('sub.one'), false);
});

test('files of a list are followed, with files and tables that they name', async () => {
  await using tables = await testTables();
  const inner = await tables.file('inner', 'one.example\n');
  const outer = await tables.file('outer', `${inner} inline:{two.example=x}\n`);
  const late = join(tables.folder, 'late');
  await using list = await DomainList.open('relay_domains', outer, tables.context);
  await using missing = await DomainList.open('relay_domains', late, tables.context);
  const becomes = async (of: DomainList, name: string, expected: boolean): Promise<void> => {
    const answer = async () => await of.matches(name);
    const end = performance.now() + 2000;
    while ((await answer().catch(() => undefined)) !== expected) {
      assert.ok(performance.now() < end, `${name} is not ${expected} after two seconds`);
      await delay(20);
    }
  };
  assert.equal(await list.matches('two.example'), true);
  await tables.file('inner', 'other.example\n');
  await becomes(list, 'other.example', true);
  assert.equal(await list.matches('one.example'), false);
  assert.equal(await list.matches('two.example'), true);
  await tables.file('outer', '!two.example, texthash:three\n');
  await tables.file('three', 'three.example x\n');
  await becomes(list, 'three.example', true);
  assert.equal(await list.matches('other.example'), false);

  await assert.rejects(async () => await missing.matches('a.example'), TableError);
  await tables.file('late', 'a.example\n');
  await becomes(missing, 'a.example', true);
  // Editors replace files: for a moment there is none.
  await rm(late);
  await delay(600);
  assert.equal(await missing.matches('a.example'), true);
});

test('a list that includes itself ends', async () => {
  await using tables = await testTables();
  const path = await tables.file('loop', '');
  await tables.file('loop', `${path} a.example`);
  await using list = await DomainList.open('relay_domains', path, tables.context);
  await assert.rejects(async () => await list.matches('b.example'), TableError);
});
