import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Destination, parseDestinationLines, parseDestinations } from './destination.ts';

const address = (text: string): Destination => ({ kind: 'address', address: text });

const cases: [text: string, destinations: Destination[]][] = [
  ['joe', [address('joe')]],
  [
    'joe, "two words"@example.org; Jane <jane@example.org>',
    [address('joe'), address('two words@example.org'), address('jane@example.org')],
  ],
  ['\\joe, joe@example.org', [{ kind: 'mailbox', user: 'joe' }, address('joe@example.org')]],
  ['"\\\\joe"', [{ kind: 'mailbox', user: 'joe' }]],
  ['"|/bin/cat > \\"x y\\"; exit 0"', [{ kind: 'command', command: '/bin/cat > "x y"; exit 0' }]],
  ['|/bin/true', [{ kind: 'command', command: '/bin/true' }]],
  [
    '/var/mail/archive, /home/joe/Maildir/',
    [
      { kind: 'file', path: '/var/mail/archive' },
      { kind: 'file', path: '/home/joe/Maildir/' },
    ],
  ],
  [':include:/etc/postfix/list', [{ kind: 'include', path: '/etc/postfix/list' }]],
  ['<>', []],
  ['', []],
];
for (const [text, destinations] of cases) {
  test(`an alias value: ${text}`, () => assert.deepEqual(parseDestinations(text), destinations));
}

test('comment lines and empty lines of a file mean nothing', () => {
  assert.deepEqual(parseDestinationLines('# joe\n\n  # jane\njack\n'), [address('jack')]);
});
