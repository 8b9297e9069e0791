import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { abort, reload, status, stop } from './main.ts';

/** A state directory; `pid` is announced in it. */
function state(context: TestContext, pid?: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'control-'));
  context.after(() => rmSync(directory, { recursive: true }));
  if (pid === undefined) return directory;
  mkdirSync(join(directory, 'run'));
  const announcement = { pid, configDirectory: directory, parameters: {} };
  writeFileSync(join(directory, 'run', 'instance.json'), JSON.stringify(announcement));
  return directory;
}

async function run(command: typeof status, argv: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  let said = '';
  const exit = await command(argv, { stderr: { write: (text) => (said += text) }, environment });
  return { exit, said };
}

test('status of a directory without an instance is 1', async (context) => {
  assert.deepEqual(await run(status, ['--var', state(context)]), {
    exit: 1,
    said: 'postfleet: the Postfleet mail system is not running\n',
  });
});

test('the state directory of the environment is used where no other is named', async (context) => {
  assert.equal((await run(status, [], { POSTFLEET_VAR: state(context) })).exit, 1);
});

test('what is not running cannot be reloaded, stopped or aborted', async (context) => {
  const directory = state(context);
  for (const command of [reload, stop, abort]) {
    assert.deepEqual(await run(command, ['--var', directory]), {
      exit: 1,
      said: 'postfleet: fatal: the Postfleet mail system is not running\n',
    });
  }
});

test('a process that has the number of one that ended, and is another program, gets no signal', async (context) => {
  if (process.platform !== 'linux') return context.skip('only Linux tells command lines');
  assert.equal((await run(stop, ['--var', state(context, 1)])).exit, 1);
});

test('an option that there is not is a mistake of use', async () => {
  const { exit, said } = await run(stop, ['--now']);
  assert.equal(exit, 64);
  assert.match(said, /usage: postfleet stop \[--var DIR\]/);
});
