import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { LineBuffer } from './line-buffer.ts';

function lines(text: string, cuts: readonly number[], limit = 2048): string[] {
  const buffer = new LineBuffer(limit);
  const bytes = Buffer.from(text, 'latin1');
  const ends = [...new Set([...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
  const found: string[] = [];
  let start = 0;
  for (const end of ends) {
    // As a reader does that has one buffer for all it reads.
    const lent = Buffer.from(bytes.subarray(start, end));
    buffer.push(lent);
    start = end;
    for (let line = buffer.line(); line !== undefined; line = buffer.line()) found.push(line);
    buffer.keep();
    lent.fill('?');
  }
  return found;
}

test('lines come whole, however they are cut', () => {
  const unit = fc.constantFrom('a', '\r\n', '\n', '\r', 'bc');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 40 }), fc.array(fc.nat(60)), (text, cuts) => {
      const expected = text.split('\n').slice(0, -1);
      assert.deepEqual(
        lines(text, cuts),
        expected.map((line) => line.replace(/\r+$/, '')),
      );
    }),
  );
});

test('lines that wait while more comes stay apart', () => {
  const action = fc.oneof(fc.constantFrom('a', 'bc', '\r\n', 'd\r\ne\r\n'), fc.constant(undefined));
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const buffer = new LineBuffer(2048);
      const found: string[] = [];
      const take = (): boolean => {
        const line = buffer.line();
        if (line !== undefined) found.push(line);
        return line !== undefined;
      };
      for (const text of actions) {
        if (text === undefined) take();
        else buffer.push(Buffer.from(text));
        buffer.keep();
      }
      while (take());
      const sent = actions.filter((text) => text !== undefined).join('');
      assert.deepEqual(found, sent.split('\r\n').slice(0, -1));
    }),
  );
});

test('of a line longer than the limit the rest is forgotten, whether it came in one piece or in many', () => {
  const text = `${'x'.repeat(50)}\r\nnext\r\n`;
  for (const cuts of [[], [5, 15, 30, 51], Array.from({ length: 60 }, (_, at) => at)]) {
    assert.deepEqual(lines(text, cuts, 10), ['xxxxxxxxxx', 'next'], cuts.join());
  }
});

test('a line that is too long is given when it has ended, and what follows is not taken for it', () => {
  for (const bare of [false, true]) {
    const buffer = new LineBuffer(10);
    for (const piece of ['DATA      ', '     ', bare ? '  ' : '  \r']) {
      buffer.push(Buffer.from(piece));
      assert.equal(buffer.line(), undefined);
      buffer.keep();
    }
    buffer.push(Buffer.from('\ncontent\r\n'));
    assert.deepEqual([buffer.line(), buffer.cut, buffer.bare], ['DATA      ', true, bare]);
    assert.equal(buffer.bytes.toString('latin1', buffer.at), 'content\r\n');
  }
});

test('a line without end is given once, and the next line is another', () => {
  const buffer = new LineBuffer(10);
  const found: (string | undefined)[] = [];
  for (const piece of ['z'.repeat(15), 'z'.repeat(15), 'z'.repeat(50), 'z\r\nNOOP\r\n']) {
    buffer.push(Buffer.from(piece));
    found.push(buffer.line());
    buffer.keep();
  }
  assert.deepEqual(found, [undefined, 'z'.repeat(10), undefined, 'NOOP']);
});

test('it tells lines that were cut and lines that end with LF alone', () => {
  const buffer = new LineBuffer(3);
  buffer.push(Buffer.from('abcd\r\nab\n'));
  assert.deepEqual([buffer.line(), buffer.cut, buffer.bare], ['abc', true, false]);
  assert.deepEqual([buffer.line(), buffer.cut, buffer.bare], ['ab', false, true]);
});

test('bytes that are not UTF-8 are kept apart from those that are', () => {
  const buffer = new LineBuffer(100);
  buffer.push(Buffer.from([0xc3, 0xa4, 0xff, 10]));
  const line = buffer.line();
  assert.equal(line, 'ä\udcff');
  assert.equal(line?.isWellFormed(), false);
});
