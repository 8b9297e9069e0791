import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitAddress, stripAddress } from './strip-address.ts';

test('the extension begins at the first delimiter behind the first character', () => {
  assert.deepEqual(splitAddress('user+a-b', '+-'), { base: 'user', extension: 'a-b', delimiter: '+' });
  assert.deepEqual(splitAddress('user+', '+'), { base: 'user', extension: '', delimiter: '+' });
  assert.equal(splitAddress('user+a', '').extension, undefined);
});

test('some names keep their delimiters', () => {
  const whole: [name: string, delimiter: string][] = [
    ['+user', '+'],
    ['mailer-daemon', '-'],
    ['Mailer-Daemon', '-'],
    ['double-bounce', '-'],
    ['owner-list', '-'],
    ['list-request', '-'],
  ];
  for (const [name, delimiter] of whole) assert.equal(splitAddress(name, delimiter).extension, undefined, name);
  assert.equal(splitAddress('owner-list', '-', { ownerRequestSpecial: false }).extension, 'list');
  assert.equal(splitAddress('owner-list+x', '+').extension, 'x');
});

test('what was taken off can be put back', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const found = stripAddress(`${text}@example.com`, '+');
      if (found === undefined) return;
      const at = found.stripped.lastIndexOf('@');
      assert.equal(found.stripped.slice(0, at) + found.extension + found.stripped.slice(at), `${text}@example.com`);
    }),
  );
});
