import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineRecords } from './line-records.ts';
import { MIME_ERRORS, type MimeEvent, type MimeOptions, MimeWalker } from './mime.ts';
import { MimeTokens } from './mime-token.ts';

const OPTIONS: MimeOptions = {
  headerSizeLimit: 100_000,
  nestingLimit: 100,
  boundaryLengthLimit: 2000,
  report: new Set(MIME_ERRORS.keys()),
  downgrade: false,
};

function walk(content: string, options: Partial<MimeOptions> = {}, recordSize = 100): MimeEvent[] {
  const walker = new MimeWalker({ ...OPTIONS, ...options });
  const records = new LineRecords(recordSize);
  const events: MimeEvent[] = [];
  for (const { text, complete } of records.push(Buffer.from(content, 'latin1'))) {
    events.push(...walker.push(text, complete));
  }
  for (const { text, complete } of records.end()) events.push(...walker.push(text, complete));
  events.push(...walker.end());
  return events;
}

/** The message that the events make, but for the empty line that the walker put behind a broken header block. */
function joined(events: readonly MimeEvent[]): string {
  let content = '';
  let inserted = false;
  for (const event of events) {
    if (event.type === 'error' && event.kind === 'non-empty-end-of-header') inserted = true;
    else if (event.type === 'header') content += `${event.text}\n`;
    else if (event.type === 'body' && inserted) inserted = false;
    else if (event.type === 'body') content += event.complete ? `${event.text}\n` : event.text;
  }
  return content;
}

const errors = (events: readonly MimeEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'error' ? [event.kind] : []));

const headers = (events: readonly MimeEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'header' ? [`${event.block} ${event.text}`] : []));

const lines = fc
  .array(
    fc.constantFrom(
      'Subject: x',
      ' folded',
      '\tfolded',
      '',
      '',
      'Content-Type: multipart/mixed; boundary=b',
      'Content-Type: multipart/digest; boundary="b c"',
      'Content-Type: message/rfc822',
      'Content-Type: message/partial',
      'Content-Transfer-Encoding: 8bit',
      'Content-Transfer-Encoding: base64',
      '--b',
      '--b--',
      '--b c',
      '--b c--',
      '--',
      'no header',
      'tr\u00e4ge',
      ': x',
      'x'.repeat(250),
      `Long: ${'y'.repeat(250)}`,
      '\0\r',
    ),
    { maxLength: 40 },
  )
  .map((list) => list.map((line) => `${line}\n`).join(''));

test('what goes into the walk comes out of it, whatever the structure', () => {
  fc.assert(
    fc.property(lines, fc.integer({ min: 1, max: 300 }), (content, recordSize) => {
      assert.equal(joined(walk(content, {}, recordSize)), content);
    }),
    { numRuns: 500 },
  );
});

test('only 7-bit data comes out of a downgrade where 8-bit data was declared', () => {
  const content =
    'Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n' +
    'Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nsch\u00f6n =\n--b\n\n7bit = \n--b--\n';
  const events = walk(content, { downgrade: true });
  assert.equal(
    joined(events),
    'Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\n' +
      'Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nsch=F6n =3D\n--b\n\n7bit = \n--b--\n',
  );
  assert.deepEqual(errors(events), []);
});

test('each header belongs to the message, to a part, or to a message inside of it', () => {
  const content =
    'Subject : outer\nContent-Type: multipart/digest; boundary=b\n\nprologue: no header\n--b\n\n' +
    'Subject: inner\n\nbody: no header\n--b\nContent-Type: text/plain\nX: y\n\ntext\n--b--\nZ: z\n';
  assert.deepEqual(headers(walk(content)), [
    'primary Subject: outer',
    'primary Content-Type: multipart/digest; boundary=b',
    'nested Subject: inner',
    'multipart Content-Type: text/plain',
    'multipart X: y',
  ]);
});

test('a boundary of an outer multipart ends all that is inside of it', () => {
  const content =
    'Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/mixed; boundary=in\n\n' +
    '--in\nA: a\n\n--out\nB: b\n\n--in\nC: no header\n';
  assert.deepEqual(headers(walk(content)).slice(-2), ['multipart A: a', 'multipart B: b']);
});

test('what is wrong with a message is named', () => {
  const cases: [content: string, options: Partial<MimeOptions>, kinds: string[]][] = [
    ['Subject: \u00e9\n\nx\n', {}, ['8bit-in-header']],
    ['Subject: x\n\n\u00e9\n', {}, ['8bit-in-7bit-body']],
    ['Content-Transfer-Encoding: 8bit\n\n\u00e9\n', {}, []],
    ['Content-Transfer-Encoding: base64\nContent-Type: message/rfc822\n\n', {}, ['encoding-domain']],
    ['Content-Transfer-Encoding: 8bit\nContent-Type: message/partial\n\n', {}, ['encoding-domain']],
    ['Content-Transfer-Encoding: 8bit\nContent-Type: multipart/mixed; boundary=b\n\n', {}, []],
    ['Subject: x\njunk\n', {}, ['non-empty-end-of-header']],
    [`A: ${'x\n '.repeat(50)}\n\n`, { headerSizeLimit: 20 }, ['truncated-header']],
    ['Content-Type: message/rfc822\n\n'.repeat(5), { nestingLimit: 2 }, ['nesting']],
    ['Subject: \u00e9\n\n\u00e9\n', { report: new Set() }, []],
  ];
  for (const [content, options, kinds] of cases) assert.deepEqual(errors(walk(content, options)), kinds, content);
});

test('nesting without end costs no memory', () => {
  const part = 'Content-Type: multipart/mixed; boundary=b\n\n--b\n';
  const events = walk(part.repeat(50), { nestingLimit: 10 });
  assert.ok(errors(events).every((kind) => kind === 'nesting'));
  assert.equal(joined(events), part.repeat(50));
});

test('words of structured headers are told from comments, quotes and folding', () => {
  const tokens = new MimeTokens(' multipart/(co\\m\\)ment)mumble mumble; boundary = "ab\\cd \n ef" mumble; x="');
  assert.deepEqual(tokens.next(), ['multipart', '/', 'mumble']);
  assert.deepEqual(tokens.next(), ['boundary', '=', 'abcd ef']);
  assert.deepEqual(tokens.next(), ['x', '=', '']);
  assert.equal(tokens.next(), undefined);
});
