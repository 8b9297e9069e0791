import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pagePath, parametersPage } from './parameters-page.ts';

test('docs/parameters.md is what the parameter table gives', () => {
  assert.ok(readFileSync(pagePath, 'utf8') === parametersPage(), 'run node tools/parameters-page.ts');
});
