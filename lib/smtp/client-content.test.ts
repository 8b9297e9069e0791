import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ContentEncoder } from './client-content.ts';

const encode = (text: string, limit = 998) =>
  new ContentEncoder(limit).whole(Buffer.from(text, 'latin1')).toString('latin1');

test('line ends, dots and the end of content', () => {
  const cases: [string, string][] = [
    ['', '.\r\n'],
    ['a\nb\n', 'a\r\nb\r\n.\r\n'],
    ['no end', 'no end\r\n.\r\n'],
    ['.\n', '..\r\n.\r\n'],
    ['.a\n..b\nc.\n', '..a\r\n...b\r\nc.\r\n.\r\n'],
    ['\n\n\n', '\r\n\r\n\r\n.\r\n'],
    ['bare\rcr\r\n', 'bare\rcr\r\r\n.\r\n'],
    ['\x00\xff\n', '\x00\xff\r\n.\r\n'],
  ];
  for (const [content, sent] of cases) assert.equal(encode(content), sent, JSON.stringify(content));
});

test('long lines are broken with a space that counts', () => {
  assert.equal(encode('12345678\n', 8), '12345678\r\n.\r\n');
  assert.equal(encode('123456789\n', 8), '12345678\r\n 9\r\n.\r\n');
  assert.equal(encode('1234567812345678\n', 8), '12345678\r\n 1234567\r\n 8\r\n.\r\n');
  assert.equal(encode('.234567.9\n', 8), '..234567.\r\n 9\r\n.\r\n');
  assert.equal(encode('x'.repeat(3000), 0), `${'x'.repeat(3000)}\r\n.\r\n`);
});

/** What a server makes of it (RFC 5321 section 4.5.2). */
function received(sent: string): string {
  assert.ok(sent === '.\r\n' || sent.endsWith('\r\n.\r\n'));
  const body = sent.slice(0, -3);
  assert.ok(!`\r\n${body}`.includes('\r\n.\r\n'));
  return `\r\n${body}`.replaceAll('\r\n.', '\r\n').slice(2).replaceAll('\r\n', '\n');
}

test('whatever is sent in whatever pieces, the server gets the same bytes', () => {
  const bytes = fc.array(fc.constantFrom('a', '.', '\n', '\n.\n', '\xfe', 'word '), { maxLength: 60 });
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(80), { maxLength: 5 }), (parts, cuts) => {
      const content = Buffer.from(parts.join(''), 'latin1');
      const encoder = new ContentEncoder(998);
      let sent = '';
      let from = 0;
      for (const cut of cuts.sort((a, b) => a - b)) {
        sent += encoder.encode(content.subarray(from, cut)).toString('latin1');
        from = Math.max(from, Math.min(cut, content.length));
      }
      sent += encoder.encode(content.subarray(from)).toString('latin1');
      sent += encoder.end().toString('latin1');
      const text = content.toString('latin1');
      assert.equal(received(sent), text === '' || text.endsWith('\n') ? text : `${text}\n`);
      assert.equal(sent, encode(text));
    }),
  );
});

test('no line that is sent is longer than the limit', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 10 }), fc.integer({ min: 2, max: 20 }), (lengths, limit) => {
      const content = lengths.map((length) => `${'x'.repeat(length)}\n`).join('');
      const lines = encode(content, limit).split('\r\n');
      for (const line of lines) assert.ok(line.length <= limit);
      assert.equal(lines.slice(0, -2).join('\n').replaceAll('\n ', ''), content.slice(0, -1));
    }),
  );
});
