import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHostPort } from './host-port.ts';
import { addressProblem, hostnameProblem, isAddress, isHostname } from './hostname.ts';
import { DomainConverter } from './idna.ts';
import { formatAddress, matchesCidr, parseAddress, parseCidr } from './ip-address.ts';
import { formatIpPattern, matchesIpPattern, parseIpPattern } from './ip-match.ts';

test('host names', () => {
  const good = ['a', 'a.b', 'a-b.c1', 'x_y.example', '1a.2'];
  const bad = [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a',
    'a-',
    'a.-b',
    '1.2.3.4',
    '123',
    'a b',
    'ä.de',
    '*.a',
    'a'.repeat(64),
    `${'a.'.repeat(130)}a`,
  ];
  for (const name of good) assert.equal(hostnameProblem(name), undefined, name);
  for (const name of bad) assert.notEqual(hostnameProblem(name), undefined, name);
  assert.ok(isHostname('*.a', { wildcard: true }));
  assert.ok(!isHostname('a.*', { wildcard: true }));
});

test('numerical addresses', () => {
  const good = ['1.2.3.4', '0.0.0.0', '255.255.255.255', '::', '::1', 'a::', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4'];
  const bad = [
    '',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.',
    '0.1.2.3',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '::g',
    '1:',
  ];
  for (const address of good) assert.equal(addressProblem(address), undefined, address);
  for (const address of bad) assert.ok(!isAddress(address), address);
});

test('any address reads back as it was written', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(fc.property(bytes, (address) => assert.deepEqual(parseAddress(formatAddress(address)), address)));
});

test('a network holds exactly the addresses that share its first bits', () => {
  const address = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(address, address, fc.integer({ min: 0, max: 32 }), (network, other, length) => {
      const bits = (bytes: Uint8Array): string =>
        Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
      const kept = bits(network).slice(0, length).padEnd(32, '0');
      const masked = Uint8Array.from(kept.match(/.{8}/g)!, (byte) => Number.parseInt(byte, 2));
      const pattern = parseCidr(`${formatAddress(masked)}/${length}`);
      assert.ok(!('error' in pattern));
      assert.equal(matchesCidr(other, pattern), bits(other).slice(0, length) === kept.slice(0, length));
    }),
  );
});

test('addresses of the other family match no pattern, negated or not', () => {
  const six = parseAddress('::1')!;
  for (const [text, expected] of [
    ['0.0.0.0/0', false],
    ['!0.0.0.0/0', false],
    ['!10.0.0.0/8', false],
    ['!2001:db8::/32', true],
    ['!!0.0.0.0/0', false],
    ['[::]/0', true],
  ] as const) {
    const pattern = parseCidr(text);
    assert.ok(!('error' in pattern), text);
    assert.equal(matchesCidr(six, pattern), expected, text);
  }
});

test('host and port', () => {
  const cases: [string, Parameters<typeof parseHostPort>[1], string][] = [
    ['a.b:25', {}, 'a.b 25'],
    ['[a.b]:smtp', {}, 'a.b smtp'],
    ['[::1]:25', {}, '::1 25'],
    ['[ipv6:::1]', { service: 'smtp' }, '::1 smtp'],
    ['25', { host: 'localhost' }, 'localhost 25'],
    ['a.b', { service: 'smtp' }, 'a.b smtp'],
    ['[a.b', {}, 'missing "]"'],
    ['[a.b]x', {}, 'garbage after "]"'],
    ['a.b:', {}, 'missing service name'],
    [':25', {}, 'missing host name'],
    ['a.b:2x', {}, 'garbage after numerical service'],
    ['a b:25', {}, 'valid hostname or network address required'],
  ];
  for (const [text, defaults, expected] of cases) {
    const parsed = parseHostPort(text, defaults);
    assert.equal('error' in parsed ? parsed.error : `${parsed.host} ${parsed.port}`, expected, text);
  }
});

test('DNS list patterns', () => {
  const pattern = parseIpPattern('127.0.[0..2;9].[1;3]');
  assert.ok(!('error' in pattern));
  assert.equal(formatIpPattern(pattern), '127.0.[0..2;9].[1;3]');
  const cases: [string, boolean][] = [
    ['127.0.0.1', true],
    ['127.0.9.3', true],
    ['127.0.3.1', false],
    ['127.0.0.2', false],
    ['127.0.0', false],
  ];
  for (const [address, expected] of cases) assert.equal(matchesIpPattern(pattern, address), expected, address);
});

test('a domain that cannot be converted is reported once', () => {
  const warnings: string[] = [];
  const domains = new DomainConverter({ warn: (text) => void warnings.push(text) });
  assert.equal(domains.toAscii('bücher.example'), 'xn--bcher-kva.example');
  assert.equal(domains.toUtf8('XN--bcher-kva.example'), 'bücher.example');
  assert.equal(domains.toAscii('a..b'), undefined);
  assert.equal(domains.toAscii('a..b'), undefined);
  assert.equal(warnings.length, 1);
});
