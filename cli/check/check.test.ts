import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { main } from './main.ts';

async function check(context: TestContext, mainCf: string) {
  const directory = mkdtempSync(join(tmpdir(), 'check-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'main.cf'), mainCf);
  writeFileSync(join(directory, 'master.cf'), '');
  let err = '';
  const status = await main(['-c', directory], {
    stdin: process.stdin,
    stderr: { write: (text) => (err += text) },
    environment: {},
  });
  return { status, err: err.replaceAll(`${directory}/`, '') };
}

test('a configuration without fault is silent', async (context) => {
  assert.deepEqual(await check(context, 'relayhost = [a]\n'), { status: 0, err: '' });
});

test('a misspelt name is a warning and does not fail the check', async (context) => {
  assert.deepEqual(await check(context, 'relayhst = [a]\n'), {
    status: 0,
    err: 'postfleet/check: warning: main.cf, line 1: unused parameter: relayhst=[a]\n',
  });
});

test('a wrong value fails the check', async (context) => {
  assert.deepEqual(await check(context, 'soft_bounce = perhaps\n'), {
    status: 78,
    err: 'postfleet/check: error: main.cf, line 1: soft_bounce = perhaps: bad value, expected yes or no\n',
  });
});

test('an option that there is not is a mistake of use', async () => {
  let err = '';
  assert.equal(
    await main(['-z'], { stdin: process.stdin, stderr: { write: (text) => (err += text) }, environment: {} }),
    64,
  );
  assert.match(err, /usage: postfleet check/);
});
