import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testTables } from '../../test/support/tables.ts';
import { type AddressStrategy, findAddress, mapAddress } from './address-lookup.ts';
import { LocalDomains } from './local-domains.ts';
import { NamaddrList } from './match-list.ts';
import { openMaps } from './open.ts';
import { ServerAcl } from './server-acl.ts';
import { TableError } from './table.ts';

const OPTIONS = { recipientDelimiter: '+', isLocalDomain: (domain: string) => domain === 'local.example' };

test('keys are tried from the most to the least specific', async () => {
  await using tables = await testTables();
  const cases: [string, string, string | undefined, AddressStrategy?][] = [
    ['u+x@e=full,u@e=plain,@e=domain', 'u+x@e', 'full'],
    ['u@e=plain,@e=domain', 'u+x@e', 'plain (+x)'],
    ['@e=domain', 'u+x@e', 'domain'],
    ['u+x=bare,@local.example=domain', 'u+x@local.example', 'bare'],
    ['u=bare,@local.example=domain', 'u+x@local.example', 'bare (+x)'],
    ['u=bare', 'u@elsewhere', undefined],
    ['b=two', 'u@a.b', 'two', { domain: true, parentDomains: true }],
    ['.b=two', 'u@a.b', 'two', { domain: true, dotParentDomains: true }],
    ['.b=two', 'u@b', undefined, { domain: true, dotParentDomains: true }],
    ['u@=any', 'u+x@e', 'any (+x)', { full: true, withoutExtension: true, localpartAt: true }],
  ];
  for (const [rows, address, expected, strategy] of cases) {
    await using maps = await openMaps('test', `inline:{${rows}}`, tables.context);
    const match = await findAddress(maps, address, strategy === undefined ? OPTIONS : { ...OPTIONS, strategy });
    const shown = match && match.value + (match.extension === undefined ? '' : ` (${match.extension})`);
    assert.equal(shown, expected, `${address} in ${rows}`);
  }
});

test('a table of patterns sees the whole address and nothing else', async () => {
  await using tables = await testTables();
  await using maps = await openMaps('test', 'regexp:{{/^@e$/ domain} {/^u@e$/ plain}}', tables.context);
  assert.equal(await findAddress(maps, 'u+x@e', OPTIONS), undefined);
  assert.deepEqual(await findAddress(maps, 'u@e', OPTIONS), { value: 'plain' });
});

test('a failing table ends the search, unless an earlier one has answered', async () => {
  await using tables = await testTables();
  await using first = await openMaps('test', 'inline:{u@e=x} fail:t', tables.context);
  assert.deepEqual(await findAddress(first, 'u@e', OPTIONS), { value: 'x' });
  await assert.rejects(async () => await findAddress(first, 'v@e', OPTIONS), TableError);
  assert.deepEqual(tables.lines, ['warning: fail:t lookup error for "v@e"']);
  await using empty = await openMaps('test', 'regexp:{{/x/ }}', tables.context);
  await assert.rejects(async () => await empty.lookup('x'), TableError);
});

test('results are lists of addresses, completed and with the extension put back', async () => {
  await using tables = await testTables();
  const rows = 'inline:{ {u@e = a@x, "b c"@d}, {@old=@new}, {q@e=r} }';
  await using maps = await openMaps('test', rows, tables.context);
  const complete = (address: string): string => (address.includes('@') ? address : `${address}@me`);
  const options = { ...OPTIONS, propagateExtension: true, canonicalize: complete };
  assert.deepEqual(await mapAddress(maps, 'u+x@e', options), ['a+x@x', 'b c+x@d']);
  assert.deepEqual(await mapAddress(maps, 'q@e', options), ['r@me']);
  assert.deepEqual(await mapAddress(maps, 'any one+x@old', options), ['any one+x@new']);
  assert.equal(await mapAddress(maps, 'nobody@e', options), undefined);
});

test('local domains: mydestination, and own addresses in brackets', async () => {
  await using tables = await testTables();
  const settings = { mydestination: 'a.example, inline:{b.example=x}', ownAddresses: ['192.0.2.1', '2001:db8::1'] };
  await using local = await LocalDomains.open(settings, tables.context);
  const cases: [string, boolean][] = [
    ['A.example', true],
    ['a.example.', true],
    ['a.example..', false],
    ['b.example', true],
    ['c.example', false],
    ['', false],
    ['[192.0.2.1]', true],
    ['[IPv6:2001:db8:0::1]', true],
    ['[192.0.2.2]', false],
    ['192.0.2.1', false],
  ];
  for (const [domain, expected] of cases) assert.equal(await local.matches(domain), expected, domain);
});

test('access lists decide by their first entry that knows the client', async () => {
  await using tables = await testTables();
  await using mynetworks = await NamaddrList.open('mynetworks', '192.0.2.0/24', tables.context);
  const cases: [string, string, string][] = [
    ['permit_mynetworks, reject', '192.0.2.1', 'permit'],
    ['permit_mynetworks, reject', '198.51.100.1', 'reject'],
    ['cidr:{{198.51.100.0/24 dunno}}, permit', '198.51.100.1', 'permit'],
    ['cidr:{{198.51.100.0/24 Reject}}, permit', '198.51.100.1', 'reject'],
    ['permit_mynetworks', '198.51.100.1', 'dunno'],
    ['fail:x, permit', '198.51.100.1', 'error'],
    ['nonsense, permit', '198.51.100.1', 'error'],
  ];
  for (const [list, address, expected] of cases) {
    await using acl = await ServerAcl.open('postscreen_access_list', list, mynetworks, tables.context);
    assert.equal(await acl.decide(address), expected, `${list} ${address}`);
  }
});

test('tables made of tables', async () => {
  await using tables = await testTables();
  const cases: [string, string, string | undefined | 'error'][] = [
    ['unionmap:{inline:{a=1},static:2}', 'a', '1,2'],
    ['unionmap:{inline:{a=1}}', 'b', undefined],
    ['unionmap:{inline:{a=1},fail:x}', 'a', 'error'],
    ['pipemap:{inline:{a=b},inline:{b=c}}', 'a', 'c'],
    ['pipemap:{inline:{a=b},inline:{x=c}}', 'a', undefined],
    ['randmap:{one}', 'any', 'one'],
    ['proxy:inline:{a=1}', 'a', '1'],
    ['unix:passwd.byname', 'root', 'root:x:0:0:root:/root:/bin/bash'],
    ['unix:nowhere', 'root', 'error'],
    ['nis:aliases', 'root', 'error'],
    ['nosuch:x', 'a', 'error'],
  ];
  for (const [spec, key, expected] of cases) {
    const table = await tables.open(spec);
    if (expected === 'error') await assert.rejects(async () => await table.lookup(key), TableError, spec);
    else if (spec.startsWith('unix:')) assert.match((await table.lookup(key)) ?? '', /^root:[^:]*:0:0:/);
    else assert.equal(await table.lookup(key), expected, spec);
  }
});

test('tables that prove nothing are refused where security depends on them', async () => {
  await using tables = await testTables();
  for (const spec of ['tcp:127.0.0.1:1', 'socketmap:inet:127.0.0.1:1:x']) {
    const table = await tables.open(spec, { noUnauthenticated: true });
    assert.throws(() => table.lookup('a'), /not allowed for security-sensitive data/);
  }
});

test('substitution in results of patterns is refused where the key is not to be trusted', async () => {
  await using tables = await testTables();
  const table = await tables.open('pcre:{{/(.*)@evil/ |$1} {/plain/ result}}', { noSubstitution: true });
  assert.equal(await table.lookup('x@evil'), undefined);
  assert.equal(await table.lookup('plain'), 'result');
  assert.match(tables.lines[0]!, /line 1: regular expression substitution is not allowed: skipping this rule$/);
});
