import assert from 'node:assert/strict';
import { rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { type TestTables, testTables } from '../../test/support/tables.ts';
import { caseFold } from '../util/case-fold.ts';
import { IndexBuilder } from './index-builder.ts';
import { INDEX_SUFFIX, IndexFormatError, IndexReader } from './index-file.ts';
import { ReloadingFile } from './reloading.ts';
import { TableError } from './table.ts';
import { openIndexWriter } from './table-writer.ts';

async function makeIndex(
  tables: TestTables,
  name: string,
  rows: readonly (readonly [string, string])[],
): Promise<void> {
  const options = {
    mode: 'create',
    duplicates: 'warn',
    defaultMode: true,
    keepPrivileges: true,
    warn: tables.context.warn,
  } as const;
  await using writer = await openIndexWriter(join(tables.folder, name), name, options);
  for (const [key, value] of rows) await writer.put(key, value);
  await writer.commit();
}

test('a table that nobody has indexed is read from its source', async () => {
  await using tables = await testTables();
  await tables.file('t', '# comment\n\nUser@Example.COM  one two\n  three\n"a b"@x y\n  # between\nlast z');
  for (const type of ['hash', 'btree', 'lmdb', 'cdb', 'dbm', 'sdbm', 'texthash']) {
    const table = await tables.open(`${type}:t`);
    assert.equal(await table.lookup('user@EXAMPLE.com'), 'one two  three', type);
    assert.equal(await table.lookup('"a b"@x'), 'y');
    assert.equal(await table.lookup('last'), 'z');
    assert.equal(await table.lookup('none'), undefined);
  }
  assert.deepEqual(tables.lines, []);
});

test('aliases that nobody has indexed are read as aliases', async () => {
  await using tables = await testTables();
  await tables.file('aliases', 'Postmaster: root\n"odd name":  "|cmd a b", x@y\n');
  const table = await tables.open('hash:aliases');
  assert.equal(await table.lookup('postmaster'), 'root');
  assert.equal(await table.lookup('odd name'), '"|cmd a b", x@y');
});

test('an index goes before its source, with a warning where the source is newer', async () => {
  await using tables = await testTables();
  await tables.file('t', 'a source\n');
  await makeIndex(tables, 't', [['a', 'index']]);
  await utimes(join(tables.folder, 't'), new Date(), new Date(Date.now() + 60_000));
  const table = await tables.open('hash:t');
  assert.equal(await table.lookup('a'), 'index');
  assert.match(tables.lines.join('\n'), /database .*t\.index is older than source file .*t$/);
});

test('changes of a file are seen within a second, and a broken file leaves the last good content', async () => {
  await using tables = await testTables();
  const path = await tables.file('t', 'one');
  let now = 0;
  const warn = mock.fn();
  let reads = 0;
  const load = async (): Promise<string> => {
    reads += 1;
    const text = (await import('node:fs')).readFileSync(path, 'utf8');
    if (text === 'broken') throw new Error('syntax error');
    return text;
  };
  const file = await ReloadingFile.open({ paths: [path], load, warn, now: () => now });
  const replace = async (text: string): Promise<void> => {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };
  await replace('two');
  assert.equal(file.current(), 'one');
  now = 1000;
  assert.equal(await file.current(), 'two');
  assert.equal(file.current(), 'two');
  await replace('broken');
  now = 2000;
  assert.equal(await file.current(), 'two');
  assert.equal(warn.mock.callCount(), 1);
  await rm(path);
  now = 3000;
  assert.equal(file.current(), 'two');
  assert.equal(reads, 3);
});

test('whatever is put into an index comes out of it, and nothing else', async () => {
  await using tables = await testTables();
  const path = join(tables.folder, 'any.index');
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 300 }), fc.array(text), (rows, others) => {
      const expected = new Map<string, string>();
      {
        using builder = new IndexBuilder(path, { mode: 0o600 });
        for (const [key, value] of rows) {
          assert.equal(builder.add(key, value), expected.has(key) ? 'duplicate' : 'added');
          if (!expected.has(key)) expected.set(key, value);
        }
        builder.commit(7n);
      }
      const reader = new IndexReader(path);
      assert.equal(reader.header.version, 7n);
      for (const [key, value] of expected) assert.equal(reader.get(key), value);
      for (const key of others) assert.equal(reader.get(key), expected.get(key));
      assert.deepEqual([...reader.entries()], [...expected]);
      reader.close();
    }),
    { numRuns: 100 },
  );
});

test('replacing, deleting and adding again keep an index right', async () => {
  await using tables = await testTables();
  const path = join(tables.folder, 'edited.index');
  const operation = fc.tuple(fc.constantFrom('replace', 'delete', 'add'), fc.integer({ min: 0, max: 30 }), fc.string());
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const expected = new Map<string, string>();
      {
        using builder = new IndexBuilder(path, { mode: 0o600 });
        for (const [kind, number, value] of operations) {
          const key = `key${number}`;
          if (kind === 'delete') assert.equal(builder.delete(key), expected.delete(key));
          else {
            const known = expected.has(key);
            assert.equal(
              builder.add(key, value, kind === 'replace'),
              known ? (kind === 'replace' ? 'replaced' : 'duplicate') : 'added',
            );
            if (!known || kind === 'replace') expected.set(key, value);
          }
        }
        assert.equal(builder.count, expected.size);
        builder.commit();
      }
      const reader = new IndexReader(path);
      for (let number = 0; number <= 30; number++)
        assert.equal(reader.get(`key${number}`), expected.get(`key${number}`));
      assert.deepEqual(new Map(reader.entries()), expected);
      reader.close();
    }),
    { numRuns: 100 },
  );
});

test('a large index is read in place', async () => {
  await using tables = await testTables();
  const path = join(tables.folder, 'large.index');
  const value = 'v'.repeat(2000);
  {
    using builder = new IndexBuilder(path, { mode: 0o600 });
    for (let row = 0; row < 10_000; row++) builder.add(`key${row}`, `${row} ${value}`);
    builder.commit();
  }
  const reader = new IndexReader(path);
  for (let row = 0; row < 10_000; row += 97) assert.equal(reader.get(`key${row}`), `${row} ${value}`);
  assert.equal(reader.get('key10000'), undefined);
  assert.equal([...reader.entries()].length, 10_000);
  reader.close();
});

test('a file that is no index, or only a part of one, is refused', async () => {
  await using tables = await testTables();
  await makeIndex(tables, 't', [['a', 'b']]);
  const path = join(tables.folder, `t${INDEX_SUFFIX}`);
  const { readFileSync } = await import('node:fs');
  const whole = readFileSync(path);
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('hello'),
    whole.subarray(0, 100),
    Buffer.alloc(200),
    Buffer.concat([whole, whole]),
  ]) {
    await writeFile(path, bytes);
    assert.throws(() => new IndexReader(path), IndexFormatError);
  }
  const table = await tables.open('hash:t');
  await assert.rejects(async () => await table.lookup('a'), TableError);
});

test('cidr tables: first match wins, negation, blocks', async () => {
  await using tables = await testTables();
  await tables.file(
    'nets',
    '!10.0.0.0/8 outside\nif 10.1.0.0/16\n10.1.2.3 host\nendif\n10.0.0.0/8 inside\n2001:db8::/32 six\n',
  );
  const table = await tables.open('cidr:nets');
  const cases: [string, string | undefined][] = [
    ['192.0.2.1', 'outside'],
    ['10.1.2.3', 'host'],
    ['10.1.2.4', 'inside'],
    ['2001:db8:0::1', 'six'],
    ['2001:db9::1', undefined],
    ['not an address', undefined],
  ];
  for (const [address, expected] of cases) assert.equal(await table.lookup(address), expected, address);
});

test('patterns over a megabyte that explode in other engines neither stall lookups nor fail', async () => {
  await using tables = await testTables();
  const table = await tables.open('pcre:{{/^(a+)+$/ one} {/(x+x+)+y/ two} {/^(.*?,){11}P/ three} {/end!$/ four}}');
  const quick = await tables.open('regexp:{{/^user@(.*)$/ $1}}');
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    assert.equal(quick.lookup('user@example'), 'example');
  }, 5);
  try {
    assert.equal(await table.lookup(`${'a'.repeat(500_000)}${'x'.repeat(500_000)} end!`), 'four');
  } finally {
    clearInterval(timer);
  }
  assert.ok(longest < 1000, `the event loop stood still for ${longest} ms`);
});

test('a pattern that only backtracking can match is a temporary failure where it takes too long', async () => {
  await using tables = await testTables();
  const table = await tables.open('pcre:{{/^(a|aa)+\\1{3}(?=x)$/ one}}');
  await assert.rejects(async () => await table.lookup('a'.repeat(200)), TableError);
  assert.match(tables.lines.join('\n'), /pcre map .*, line 1: pattern takes too long/);
});

test('case folding', () => {
  const cases: [string, boolean, string][] = [
    ['ABC', true, 'abc'],
    ['ÄÖ', true, 'äö'],
    ['ÄÖ', false, 'ÄÖ'],
    ['Straße', true, 'strasse'],
    ['ΣΑΣ', true, 'σασ'],
    ['\udc80ABCÄ', true, '\udc80abcÄ'],
  ];
  for (const [text, unicode, expected] of cases) assert.equal(caseFold(text, unicode), expected);
});
