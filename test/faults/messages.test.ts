import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arrival, contentOf, type Message, makeMessages, read } from './messages.ts';
import { seeded } from './random.ts';

const message: Message = { id: 'm1', sender: 's-m1@sender.test', recipients: ['ok-m1@d0.test'], size: 3000 };
const other: Message = { ...message, id: 'm2' };
const received =
  'Received: from client.test by faults.test with ESMTP id ABC;\r\n\tSun, 22 Nov 2026 12:00:00 +0000\r\n';
const arrival = (content: string): Arrival => ({ content, recipients: message.recipients, began: 1000, ended: 1010 });

test('every message is whole as it is sent, and as a mailbox keeps it', () => {
  for (const made of makeMessages('a', 200, 4, seeded(1))) {
    const content = `${received}${contentOf(made)}`;
    for (const kept of [content, content.replaceAll('\r\n', '\n')]) {
      const [copy] = read(arrival(kept)).copies;
      assert.deepEqual([copy?.id, copy?.queueId, copy?.isWhole], [made.id, 'ABC', true]);
    }
  }
});

const sent = `${received}${contentOf(message)}`;
const otherBody = contentOf(other).split('\r\n\r\n')[1]!;
const damages: [string, string][] = [
  ['without its last line', sent.replace(/[^\n]+\n$/, '')],
  ['without its last octet', sent.slice(0, -1)],
  ['with a line of it twice', sent.replace(/([^\n]+\n)$/, '$1$1')],
  ['with one other octet', sent.replace(/ledger m1 \r\n$/, 'ledger m3 \r\n')],
  ['with the body of another', `${sent.split('\r\n\r\n')[0]}\r\n\r\n${otherBody}`],
  ['without the rest of a header', sent.replace('From: <s-m1@sender.test>\r\n', '')],
  ['without any content', received],
];

for (const [how, content] of damages) {
  test(`a copy ${how} is not whole`, () => {
    assert.notEqual(content, sent);
    assert.equal(read(arrival(content)).copies[0]?.isWhole, false);
  });
}

const notice = (recipient: string, type: string, returned: string): Arrival =>
  arrival(
    `Received: by faults.test id DEF;\r\n\tSun, 22 Nov 2026 12:00:00 +0000\r\nContent-Type: multipart/report; boundary="B"\r\n\r\n--B\r\nX-Postfix-Queue-ID: ABC\r\nFinal-Recipient: rfc822; ${recipient}\r\n\r\n--B\r\nContent-Type: ${type}\r\n\r\n${returned}\r\n--B--\r\n`,
  );

const notices: [string, Arrival, boolean][] = [
  ['with the whole message', notice('no-m1@d0.test', 'message/rfc822', sent), true],
  [
    'with the headers of a large message',
    notice('no-m1@d0.test', 'text/rfc822-headers', sent.split('\r\n\r\n')[0]!),
    true,
  ],
  ['with the message cut off', notice('no-m1@d0.test', 'message/rfc822', sent.slice(0, -200)), false],
  ['with the message of another', notice('no-m2@d0.test', 'message/rfc822', sent), false],
  ['without a message', notice('no-m1@d0.test', 'text/plain', ''), false],
];

for (const [how, content, isWhole] of notices) {
  test(`a notice ${how} is ${isWhole ? '' : 'not '}whole`, () => {
    assert.deepEqual(
      read(content).notices.map((one) => one.isWhole),
      [isWhole],
    );
  });
}
