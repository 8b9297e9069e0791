import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { quote821Local } from '../mail/quote822.ts';
import { parseMailPath } from './mail-path.ts';

const accepted: readonly [path: string, address: string][] = [
  ['<>', ''],
  ['<user@example.org>', 'user@example.org'],
  ['<user+ext@example.org.>', 'user+ext@example.org.'],
  ['<"two words"@example.org>', 'two words@example.org'],
  ['<"a@b"@example.org>', 'a@b@example.org'],
  ['<@relay.example,@other.example:user@example.org>', 'user@example.org'],
  ['<user@[192.0.2.1]>', 'user@[192.0.2.1]'],
  ['<user@[IPv6:2001:db8::1]>', 'user@[IPv6:2001:db8::1]'],
  ['<postmaster>', 'postmaster'],
  ['user@example.org', 'user@example.org'],
  ['<δοκιμή@παράδειγμα.example>', 'δοκιμή@παράδειγμα.example'],
];

for (const [path, address] of accepted) {
  test(`${path} is the address ${address}`, () => assert.equal(parseMailPath(path)?.address, address));
}

for (const path of [
  '<user@example.org',
  '<two words@example.org>',
  '<user@example.org,other@example.org>',
  '<us(comment)er@example.org>',
  '<user@>',
  '<user@@example.org>',
  '<user@example..org>',
  '<user@-example.org>',
  '<user@example-.org>',
  '<user@[example]>',
  '<user@192.0.2.1>',
  '<-user@example.org>',
  '<user@example.org>SIZE=1',
  '< >',
]) {
  test(`${path} is no address`, () => assert.equal(parseMailPath(path), undefined));
}

test('strict envelopes want brackets', () => {
  assert.equal(parseMailPath('user@example.org', { strict: true }), undefined);
  assert.equal(parseMailPath('<user@example.org>', { strict: true })?.address, 'user@example.org');
});

test('whatever a localpart is, quoted it comes back', () => {
  const localpart = fc.string({
    minLength: 1,
    unit: fc.constantFrom('a', 'Z', '1', '.', ' ', '"', '\\', '@', '<', ',', '(', '+'),
  });
  fc.assert(
    fc.property(localpart, (text) => {
      const address = `${text}@example.org`;
      assert.equal(parseMailPath(`<${quote821Local(address)}>`)?.address, address);
    }),
  );
});
