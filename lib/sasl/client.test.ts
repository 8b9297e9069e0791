import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseMechanism } from './client.ts';

const credentials = { user: 'tim', password: 'tanstaaftanstaaf' };
const choose = (...names: string[]) => chooseMechanism(new Set(names), true)!;

test('mechanisms say what their standards show', () => {
  // The example of RFC 2195 section 2.
  const challenge = Buffer.from('<1896.697170952@postoffice.reston.mci.net>');
  assert.equal(
    choose('CRAM-MD5').answer(credentials, challenge, 0)!.toString(),
    'tim b913a602c7eda7a495b4e6e7334d3890',
  );
  assert.equal(choose('PLAIN').initial(credentials)!.toString(), '\0tim\0tanstaaftanstaaf');
  const login = choose('LOGIN');
  assert.deepEqual(
    [0, 1, 2].map((step) => login.answer(credentials, Buffer.alloc(0), step)?.toString()),
    ['tim', 'tanstaaftanstaaf', undefined],
  );
});

test('the strongest mechanism is chosen, and none that shows the password where it may not', () => {
  assert.equal(choose('LOGIN', 'PLAIN', 'CRAM-MD5').name, 'CRAM-MD5');
  assert.equal(choose('LOGIN', 'PLAIN').name, 'PLAIN');
  assert.equal(chooseMechanism(new Set(['PLAIN', 'LOGIN']), false), undefined);
  assert.equal(chooseMechanism(new Set(['GSSAPI']), true), undefined);
});
