import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { headerValue, scanHeaders } from './headers.ts';

const names = (text: string, limit?: number): string[] =>
  scanHeaders(Buffer.from(text, 'latin1'), limit).headers.map(({ name }) => name);

test('continuation lines belong to their header, whatever ends the lines', () => {
  for (const end of ['\n', '\r\n']) {
    const content = Buffer.from(['Subject: one', '\ttwo', 'To: x', '', 'body'].join(end));
    const { headers, bodyStart, terminated } = scanHeaders(content);
    assert.deepEqual(
      headers.map((header) => [header.name, content.toString('latin1', header.start, header.end)]),
      [
        ['subject', `Subject: one${end}\ttwo`],
        ['to', 'To: x'],
      ],
    );
    assert.equal(content.toString('latin1', bodyStart), 'body');
    assert.ok(terminated);
  }
});

test('a line that is no header begins the body without an empty line', () => {
  const content = Buffer.from('To: x\nno header here\n\nrest');
  const { bodyStart, terminated } = scanHeaders(content);
  assert.equal(content.toString('latin1', bodyStart), 'no header here\n\nrest');
  assert.ok(!terminated);
});

test('what only looks like a header is none', () => {
  for (const line of [': x', ' lead: x', 'two words: x', 'n\u00e9: x', 'no colon', 'ctl\x01: x']) {
    assert.deepEqual(names(`${line}\n\n`), [], line);
  }
});

test('blanks may stand before the colon and do not belong to the name', () => {
  const content = Buffer.from('Subject \t: x y\n\n');
  const [header] = scanHeaders(content).headers;
  assert.equal(header?.name, 'subject');
  assert.equal(headerValue(content, header!), 'x y');
});

test('a header that crosses the limit is left to the caller', () => {
  assert.deepEqual(names('A: 1\nB: 2\nC: 3\n\n', 10), ['a', 'b']);
  assert.deepEqual(names('A: 1\nB: 2', 8), ['a']);
});

test('a message that ends inside of its headers has no body', () => {
  const content = Buffer.from('A: 1\nB: 2');
  assert.equal(scanHeaders(content).bodyStart, content.length);
  assert.deepEqual(names('A: 1\nB: 2'), ['a', 'b']);
});

const fieldName = fc.stringMatching(/^[!-9;-~]{1,30}$/);
const fieldText = fc.stringMatching(/^[ -~\u00a0-\u00ff]{0,60}(\n[ \t][ -~]{0,20}){0,3}$/);

test('headers come out as they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fieldName, fieldText)), fc.string(), (fields, body) => {
      const block = fields.map(([name, text]) => `${name}: ${text}\n`).join('');
      const content = Buffer.from(`${block}\n${body}`, 'latin1');
      const { headers, bodyStart } = scanHeaders(content);
      const found = headers.map((header) => [header.name, content.toString('latin1', header.valueStart, header.end)]);
      assert.deepEqual(
        found,
        fields.map(([name, text]) => [name.toLowerCase(), ` ${text}`]),
      );
      assert.equal(bodyStart, block.length + 1);
    }),
  );
});

test('no bytes make the scanner leave the buffer or overlap headers', () => {
  const bytes = fc.array(fc.constantFrom(10, 13, 32, 9, 58, 65, 97, 200, 0)).map((list) => Buffer.from(list));
  fc.assert(
    fc.property(bytes, fc.nat(60), (content, limit) => {
      const { headers, bodyStart } = scanHeaders(content, limit);
      let position = 0;
      for (const { start, nameEnd, valueStart, end } of headers) {
        assert.equal(start, position);
        assert.ok(start < nameEnd && nameEnd < valueStart && valueStart <= end);
        position = end;
        while (position < content.length && (content[position] === 13 || content[position] === 10)) {
          if (content[position++] === 10) break;
        }
      }
      assert.ok(bodyStart >= position && bodyStart <= content.length);
    }),
  );
});
