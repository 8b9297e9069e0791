import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { makeDatabase } from './make-database.ts';

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'postfleet-database-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A shell script in the place of initdb; its folder is "$0". */
const shell = (script: string) => (folder: string) => ['sh', ['-c', script, folder]] as const;
const never = new AbortController().signal;

test('a database has its name when it is whole, and what an earlier start left is gone', async (t) => {
  const directory = temporary(t);
  mkdirSync(join(directory, 'postgres.new-1/base'), { recursive: true });
  writeFileSync(join(directory, 'postgres.new-1/PG_VERSION'), '17\n');
  const data = join(directory, 'postgres');
  await makeDatabase(data, shell(`mkdir "$0"; test ! -e ${data}; echo $? > "$0/hidden"`), never);
  assert.deepEqual(readdirSync(directory), ['postgres']);
  assert.equal(readFileSync(join(data, 'hidden'), 'utf8'), '0\n');
});

test('one that cannot be made is told with its last line, and leaves nothing', async (t) => {
  const directory = temporary(t);
  for (const [script, message] of [
    ['mkdir "$0"; echo first >&2; echo no room >&2; exit 1', 'initdb: no room'],
    ['mkdir "$0"; exit 3', 'initdb: exit status 3'],
    ['kill -9 $$', 'initdb: exit status SIGKILL'],
  ] as const) {
    const making = makeDatabase(join(directory, 'postgres'), shell(script), never);
    await assert.rejects(
      making,
      (error) => error instanceof FatalError && error.message === message && error.exitCode === EX.CANTCREAT,
    );
    assert.deepEqual(readdirSync(directory), []);
  }
});

test('one that is not wanted any more ends with all of its processes, though they are writing', async (t) => {
  const directory = temporary(t);
  // A process of its own goes on to make files, and the folder where that has gone, whatever becomes of its parent.
  const script = `(i=0; while :; do mkdir -p "$0/base"; i=$((i+1)); : > "$0/base/$i"; done) & trap '' TERM INT; wait`;
  for (let time = 0; time < 5; time++) {
    const stop = new AbortController();
    const making = makeDatabase(join(directory, 'postgres'), shell(script), stop.signal);
    const outcome = assert.rejects(making, (error) => error === stop.signal.reason);
    const base = join(directory, `postgres.new-${process.pid}/base`);
    while (!existsSync(base) || readdirSync(base).length < 20) await delay(1);
    stop.abort();
    await outcome;
    assert.deepEqual(readdirSync(directory), []);
  }
});

test('one that is not wanted from the beginning is not begun', async (t) => {
  const directory = temporary(t);
  const making = makeDatabase(join(directory, 'postgres'), shell('mkdir "$0"'), AbortSignal.abort('stopped'));
  await assert.rejects(making, (error) => error === 'stopped');
  assert.deepEqual(readdirSync(directory), []);
});
