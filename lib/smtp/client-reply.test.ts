import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Reply, ReplyReader, replyLines, replyOnOneLine } from './client-reply.ts';

function read(...chunks: string[]): Reply[] {
  const reader = new ReplyReader();
  const replies: Reply[] = [];
  for (const chunk of chunks) {
    reader.push(Buffer.from(chunk, 'utf8'));
    for (let reply = reader.take(); reply !== undefined; reply = reader.take()) replies.push(reply);
  }
  return replies;
}

test('replies as servers send them', () => {
  const cases: [string, Reply[]][] = [
    ['250 ok\r\n', [{ code: 250, text: '250 ok' }]],
    ['250\r\n', [{ code: 250, text: '250' }]],
    ['250 ok\n', [{ code: 250, text: '250 ok' }]],
    ['250-a\r\n250-b\r\n250 c\r\n', [{ code: 250, text: '250-a\n250-b\n250 c' }]],
    [
      '250 a\r\n354 b\r\n',
      [
        { code: 250, text: '250 a' },
        { code: 354, text: '354 b' },
      ],
    ],
    ['250 no end', []],
    ['250-no end\r\n', []],
    ['hello\r\n25\r\n250+ok\r\n\r\n', []],
    ['junk\r\n250 ok\r\n', [{ code: 250, text: '250 ok' }]],
    ['250 gr\u00fc\u00dfe\r\n', [{ code: 250, text: '250 gr\u00fc\u00dfe' }]],
  ];
  for (const [text, replies] of cases) assert.deepEqual(read(text), replies, JSON.stringify(text));
});

test('what is no reply is kept once for the log', () => {
  const reader = new ReplyReader();
  reader.push(Buffer.from('HTTP/1.1 400\r\nServer: x\r\n250 ok\r\n'));
  assert.equal(reader.takeNonsense(), 'HTTP/1.1 400');
  assert.equal(reader.takeNonsense(), undefined);
  assert.equal(reader.nonsenseCount, 2);
});

test('lines of a reply', () => {
  const [reply] = read('250-mx.example\r\n250-SIZE 1\r\n250 DSN\r\n');
  assert.deepEqual(replyLines(reply!), ['mx.example', 'SIZE 1', 'DSN']);
  assert.equal(replyOnOneLine(reply!), '250-mx.example 250-SIZE 1 250 DSN');
});

test('memory is bounded whatever a server says', () => {
  const [long] = read(`550 ${'x'.repeat(50_000)}`, 'y'.repeat(50_000), '\r\n');
  assert.equal(long!.text.length, 2048);
  const [many] = read('250-x\r\n'.repeat(10_000), '250 end\r\n');
  assert.equal(many!.text.split('\n').length, 513);
});

test('replies are the same in whatever pieces they arrive', () => {
  const line = fc.constantFrom('250 ok', '250-more', '354 go', '550 5.1.1 no', 'junk', '250', '', '421-x');
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.array(fc.nat(120), { maxLength: 8 }), (lines, cuts) => {
      const text = lines.map((words) => `${words}\r\n`).join('');
      const chunks: string[] = [];
      let from = 0;
      for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
        chunks.push(text.slice(from, cut));
        from = Math.max(from, cut);
      }
      assert.deepEqual(read(...chunks), read(text));
    }),
  );
});
