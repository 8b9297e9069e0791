import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { noEffect } from './no-effect.ts';
import { oldNames } from './old-names.ts';
import { ownParameters, parameters, postfixParameters } from './parameters.ts';
import { Configuration } from './settings.ts';

const cases = new URL('../../../shared/conformance/postfix/params.tsv', import.meta.url);

/** Values of the machine on which the reference table was printed. */
const ofHost = new Set(['myhostname', 'mydomain', 'mynetworks', 'process_id', 'process_name']);

test('the table has every parameter of the reference, with its type, default and version', (context) => {
  if (!existsSync(cases)) return context.skip('../shared/conformance is not beside the checkout');
  const [, ...rows] = readFileSync(cases, 'utf8').trimEnd().split('\n');
  assert.equal(rows.length, 909);
  assert.equal(postfixParameters.size, rows.length);
  for (const row of rows) {
    const [name = '', defaultValue, type, since] = row.split('\t');
    const parameter = postfixParameters.get(name);
    assert.ok(parameter, name);
    assert.deepEqual([parameter.type, parameter.since], [type, since], name);
    if (!ofHost.has(name)) assert.equal(parameter.defaultValue, defaultValue, name);
  }
});

test('every parameter is read by a service or says why it has no effect here, never both', () => {
  for (const { name, usedBy, here } of parameters.values()) assert.equal(usedBy.length > 0, here === '', name);
});

test('every parameter has a meaning', () => {
  for (const { name, meaning } of parameters.values()) assert.match(meaning, /^\S.*\.$/, name);
});

test('names without effect are parameters, each under one reason', () => {
  const names = noEffect.flatMap((group) => group.names);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.ok(parameters.has(name), name);
});

test('own parameters begin with postfleet_, the others do not', () => {
  for (const name of parameters.keys()) assert.equal(name.startsWith('postfleet_'), ownParameters.has(name), name);
});

test('an old name stands for a parameter and is none itself', () => {
  for (const [old, present] of oldNames()) {
    assert.ok(parameters.has(present), present);
    assert.ok(!parameters.has(old), old);
  }
});

test('every default is a value of its type, within its range, at any compatibility level and under stress', () => {
  for (const level of ['0', '1', '2', '3.6', '3.12'])
    for (const stress of ['', 'yes']) {
      const settings = Configuration.fromText(`compatibility_level = ${level}\nstress = ${stress}\n`);
      for (const { name, type } of parameters.values()) {
        if (type === 'bool' || type === 'nbool') settings.boolean(name);
        else if (type === 'time') settings.seconds(name);
        else if (type === 'int' || type === 'long' || type === 'nint') settings.integer(name);
        else settings.text(name);
      }
    }
});
