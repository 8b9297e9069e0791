import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { configurationProblems, stateProblems } from './state.ts';

function stateDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  context.after(() => rmSync(directory, { recursive: true }));
  for (const part of ['secret', 'run', 'mail']) mkdirSync(join(directory, part), { mode: 0o700 });
  writeFileSync(join(directory, 'secret', 'token'), 'x', { mode: 0o600 });
  return directory;
}

test('a state directory that only its owner can enter is in order', (context) => {
  assert.deepEqual(stateProblems(stateDirectory(context)), []);
});

test('a directory that is not there has no problems', () => {
  assert.deepEqual(stateProblems('/nonexistent/state'), []);
});

const problems: readonly [situation: string, path: string, mode: number, problem: string][] = [
  ['a secret that others can read', 'secret/token', 0o644, 'group or other accessible'],
  ['a directory of secrets that others can enter', 'secret', 0o711, 'group or other accessible'],
  ['sockets that others can reach', 'run', 0o755, 'group or other accessible'],
  ['mail that others can change', 'mail', 0o777, 'group or other writable'],
];
for (const [situation, path, mode, problem] of problems) {
  test(`${situation} is named`, (context) => {
    const directory = stateDirectory(context);
    chmodSync(join(directory, path), mode);
    assert.deepEqual(stateProblems(directory), [`${problem}: ${join(directory, path)}`]);
  });
}

test('a configuration that others can change is named', (context) => {
  const directory = stateDirectory(context);
  const file = join(directory, 'main.cf');
  writeFileSync(file, '');
  chmodSync(file, 0o664);
  assert.deepEqual(configurationProblems(directory), [`group or other writable: ${file}`]);
});
