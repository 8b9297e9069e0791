import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committed, operatorFiles } from './operator-files.ts';

for (const [path, text] of operatorFiles()) {
  test(`${path} is what its sources make`, () => {
    assert.equal(committed(path), text, 'run "node tools/operator-files.ts"');
  });
}
