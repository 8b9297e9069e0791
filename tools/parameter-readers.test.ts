import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SERVICES } from '../bin/services.ts';
import { parameters, transportFallback } from '../lib/config/parameters.ts';
import { contradictions, parameterReaders } from './parameter-readers.ts';

let readers: Map<string, string[]>;
before(async () => {
  readers = await parameterReaders();
});

test('the column "read by" of the parameter table is what the code does', () => {
  const column = [...parameters.values()].map(({ name, usedBy }) => [name, usedBy.join(' ')]);
  const code = [...readers].map(([name, of]) => [name, of.join(' ')]);
  assert.deepEqual(column, code, 'run node tools/parameter-readers.ts and node tools/parameters-page.ts');
});

test('no parameter that has a reason for having no effect is read', () => {
  assert.deepEqual(contradictions(readers), []);
});

test('services declare parameters that exist', async () => {
  for (const [daemon, load] of SERVICES) {
    const unknown = (await load()).parameters.filter((name) => !parameters.has(name) && !transportFallback(name));
    assert.deepEqual(unknown, [], daemon);
  }
});
