import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDestination, splitNexthop } from './destination.ts';
import { parseKnownPorts } from './settings.ts';

const knownPorts = parseKnownPorts('lmtp=24, smtp=25, smtps=submissions=465, submission=587');
const SMTP = { protocol: 'smtp', defaultPort: 25, knownPorts, mxLookup: true, queueDirectory: '/q' } as const;
const LMTP = { ...SMTP, protocol: 'lmtp', defaultPort: 24, mxLookup: false } as const;

test('destinations of SMTP', () => {
  const cases: [string, string, number, boolean][] = [
    ['example.org', 'example.org', 25, true],
    ['example.org:587', 'example.org', 587, true],
    ['example.org:submissions', 'example.org', 465, true],
    ['[example.org]', 'example.org', 25, false],
    ['[example.org]:2525', 'example.org', 2525, false],
    ['[192.0.2.1]', '192.0.2.1', 25, false],
    ['[ipv6:2001:db8::1]:26', '2001:db8::1', 26, false],
    ['[2001:db8::1]', '2001:db8::1', 25, false],
    ['inet:example.org:26', 'example.org', 26, true],
  ];
  for (const [text, name, port, mx] of cases) {
    assert.deepEqual(parseDestination(text, SMTP), { kind: 'inet', text, name, port, mx });
  }
});

test('destinations of LMTP', () => {
  const unix = (text: string, path: string) =>
    assert.deepEqual(parseDestination(text, LMTP), { kind: 'unix', text, name: text.slice(5), path });
  unix('unix:/run/lmtp', '/run/lmtp');
  unix('unix:private/lmtp', '/q/private/lmtp');
  const inet = { kind: 'inet', mx: false } as const;
  assert.deepEqual(parseDestination('inet:host', LMTP), { ...inet, text: 'inet:host', name: 'host', port: 24 });
  assert.deepEqual(parseDestination('inet:[::1]:25', LMTP), { ...inet, text: 'inet:[::1]:25', name: '::1', port: 25 });
});

test('destinations that are none', () => {
  for (const text of ['[example.org', '[]', ':25', '[a]b', 'a:b', 'a:0', 'a:65536', 'a:25:26']) {
    assert.equal(parseDestination(text, SMTP).kind, 'bad', text);
  }
});

test('several destinations', () => {
  assert.deepEqual(splitNexthop('a, [b]:25\tc,,d '), ['a', '[b]:25', 'c', 'd']);
  assert.deepEqual(splitNexthop(''), []);
});
