import assert from 'node:assert/strict';
import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FileCopy, KeptCopies, MemoryCopy, Overlay, type RowCopy, type TableHead } from './kept-copies.ts';

interface Host extends Disposable {
  readonly folder: string;
  copies(path?: string): KeptCopies;
}

async function host(): Promise<Host> {
  const folder = await mkdtemp(join(tmpdir(), 'postfleet-test-kept-'));
  return {
    folder,
    copies: (path = '/etc/virtual') => new KeptCopies({ database: 'db', folder }, path),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function head(version: number, madeAt = version * 1000, id = 1): TableHead {
  return { id, version, madeAt, deletionsFrom: 0 };
}

function memory(version: number, value: string): MemoryCopy {
  return new MemoryCopy(version, new Map([['key', value]]));
}

/** What a process that starts without the database finds. */
function last(copies: KeptCopies): string | undefined {
  const kept = copies.last();
  if (kept === undefined || kept.isAbsent) return kept === undefined ? 'nothing' : 'absent';
  const value = kept.copy.get('key');
  kept.copy.close?.();
  return value;
}

/** Rows in a file of their own, as a large table has them. */
function rowsInFile(copies: KeptCopies, edition: TableHead, value: string): FileCopy {
  {
    using builder = copies.build(edition);
    builder.add('key', value);
    builder.add('other', value);
    builder.commit();
  }
  return copies.openRows(edition);
}

test('what is kept last serves, and takes the place of what was kept before', async () => {
  using one = await host();
  const copies = one.copies();
  assert.equal(last(copies), 'nothing');
  copies.keep(head(1), memory(1, 'one'));
  copies.keep(head(2), memory(2, 'two'));
  assert.equal(last(copies), 'two');
  assert.equal(last(one.copies('/etc/other')), 'nothing');
  assert.equal(readdirSync(one.folder).length, 1);
  copies.keepAbsence();
  assert.equal(last(copies), 'absent');
  copies.keep(head(1, 9000, 2), memory(1, 'again'));
  assert.equal(last(copies), 'again');
});

test('changes are kept beside the rows of a large table', async () => {
  using one = await host();
  const copies = one.copies();
  const base = rowsInFile(copies, head(3), 'old');
  const changes = new Map([
    ['key', 'changed'],
    ['other', undefined],
  ]);
  copies.keep(head(4), new Overlay(4, base, changes));
  assert.equal(last(copies), 'changed');
  const found = copies.find(head(4)) as RowCopy;
  assert.equal(found.get('other'), undefined);
  found.close?.();
  assert.equal(copies.find(head(4, 1)), undefined);
  base.close();
});

test('a version of the same number that was made at another time is another one', async () => {
  using one = await host();
  const copies = one.copies();
  copies.keep(head(1, 1000), memory(1, 'before the database was made anew'));
  assert.equal(copies.find(head(1, 2000)), undefined);
  copies.keep(head(1, 2000), memory(1, 'after'));
  assert.equal(last(copies), 'after');
});

test('a process that is behind takes nothing from those that are ahead', async () => {
  using one = await host();
  const copies = one.copies();
  const slow = rowsInFile(copies, head(3), 'three');
  const fast = rowsInFile(copies, head(5), 'five');
  copies.keep(head(5), fast);
  assert.equal(slow.get('key'), 'three');
  copies.keep(head(4), new Overlay(4, slow, new Map([['key', 'four']])));
  assert.equal(last(copies), 'five');
  for (const copy of [slow, fast]) copy.close();
});

test('a folder that others may write to is not used', async () => {
  using one = await host();
  chmodSync(one.folder, 0o777);
  assert.throws(() => one.copies().keep(head(1), memory(1, 'one')), /not a folder of this user alone/);
});
