import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineRecords, recordBytes } from './line-records.ts';
import { QuotedPrintableEncoder } from './quoted-printable.ts';

/** A decoder as RFC 2045 describes it. */
function decode(lines: readonly string[]): string {
  const text = lines.map((line) => (line.endsWith('=') ? line.slice(0, -1) : `${line}\n`)).join('');
  return text.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const line = fc.stringMatching(/^[\x01-\x09\x0b-\xff]{0,300}$/);

test('encoded text reads back, in lines of at most 76 plain characters that do not end in a blank', () => {
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 1, max: 90 }), (texts, pieceSize) => {
      const encoder = new QuotedPrintableEncoder();
      const lines: string[] = [];
      for (const text of texts) {
        let start = 0;
        for (; text.length - start > pieceSize; start += pieceSize) {
          lines.push(...encoder.encode(text.slice(start, start + pieceSize), false));
        }
        lines.push(...encoder.encode(text.slice(start), true));
      }
      assert.equal(decode(lines), texts.map((text) => `${text}\n`).join(''));
      for (const encoded of lines) assert.match(encoded, /^(?:[!-~ \t]{0,75}[!-~])?$/);
      assert.equal(encoder.finish(), undefined);
    }),
  );
});

test('a blank at the end of a piece is encoded only when it ends the line', () => {
  const encoder = new QuotedPrintableEncoder();
  assert.deepEqual(encoder.encode('a ', false), []);
  assert.deepEqual(encoder.encode('', true), ['a=20']);
  assert.deepEqual(encoder.encode('a ', false), []);
  assert.deepEqual(encoder.encode('b', true), ['a b']);
  assert.deepEqual(encoder.encode('rest', false), []);
  assert.equal(encoder.finish(), 'rest');
});

test('records hold every byte, and none is longer than the limit', () => {
  const chunk = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.map((byte) => byte % 16)));
  fc.assert(
    fc.property(fc.array(chunk), fc.integer({ min: 1, max: 30 }), (chunks, limit) => {
      const records = new LineRecords(limit);
      const parts: Buffer[] = [];
      const take = (found: Iterable<{ text: string; complete: boolean }>): void => {
        for (const record of found) {
          assert.ok(record.text.length <= limit && !record.text.includes('\n'));
          parts.push(recordBytes(record));
        }
      };
      for (const bytes of chunks) take(records.push(bytes));
      take(records.end());
      assert.deepEqual(Buffer.concat(parts), Buffer.concat(chunks));
    }),
  );
});
