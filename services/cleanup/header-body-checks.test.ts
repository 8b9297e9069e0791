import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../lib/config/settings.ts';
import type { HeaderBodyChecks, LineLookup } from '../../lib/mail/header-body-checks.ts';
import type { MimeErrorKind } from '../../lib/mail/mime.ts';
import { TableError } from '../../lib/tables/table.ts';
import { ContentInspection, type ContentVerdict, openHeaderBodyChecks } from './header-body-checks.ts';

const MESSAGE = 'Subject: one\nTo: two\n\nfirst line\nsecond line\n';

interface Inspected {
  readonly content: string;
  readonly verdict: ContentVerdict;
  readonly log: readonly string[];
}

/** Inspects a message that comes in pieces of seven bytes. */
async function inspect(
  message: string,
  checks: Partial<HeaderBodyChecks>,
  bodySizeLimit = 51200,
  report: MimeErrorKind[] = [],
): Promise<Inspected> {
  const log: string[] = [];
  const none = { header: undefined, mimeHeader: undefined, nestedHeader: undefined, body: undefined };
  const inspection = new ContentInspection({
    checks: { ...none, ...checks },
    mime: {
      headerSizeLimit: 102_400,
      nestingLimit: 100,
      boundaryLengthLimit: 2048,
      report: new Set(report),
      downgrade: false,
    },
    bodySizeLimit,
    lineLengthLimit: 2048,
    log: {
      action: (action, part, content, text) => log.push(`${action}: ${part} ${content}: ${text}`),
      warn: (text) => log.push(`warning: ${text}`),
    },
  });
  const bytes = Buffer.from(message, 'utf8');
  const output: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += 7) {
    output.push(await inspection.push(bytes.subarray(start, start + 7)));
  }
  output.push(await inspection.end());
  return { content: Buffer.concat(output).toString('utf8'), verdict: inspection.verdict, log };
}

/** A table with a result for each line that contains the key. */
function table(entries: Readonly<Record<string, string>>): LineLookup {
  return (line) => Object.entries(entries).find(([key]) => line.includes(key))?.[1];
}

test('lines are removed, replaced and preceded as the tables say', async () => {
  const { content, log } = await inspect(MESSAGE, {
    header: table({ Subject: 'PREPEND X-Seen: yes', To: 'REPLACE To: three' }),
    body: table({ first: 'ignore', second: 'prepend between' }),
  });
  assert.equal(content, 'X-Seen: yes\nSubject: one\nTo: three\n\nbetween\nsecond line\n');
  assert.deepEqual(log, [
    'prepend: header Subject: one: X-Seen: yes',
    'replace: header To: two: To: three',
    'prepend: body second line: between',
  ]);
});

test('a refusal carries its status, and ends the inspection', async () => {
  const plain = await inspect(MESSAGE, { header: table({ Subject: 'REJECT', To: 'HOLD' }) });
  assert.deepEqual(plain.verdict.reject, { status: '5.7.1', text: 'message content rejected' });
  assert.equal(plain.verdict.hold, false);
  const spoken = await inspect(MESSAGE, { body: table({ first: 'reject 5.6.3 go away' }) });
  assert.deepEqual(spoken.verdict.reject, { status: '5.6.3', text: 'go away' });
  assert.equal(spoken.content, MESSAGE);
  const redirected = await inspect(MESSAGE, { header: table({ Subject: 'REDIRECT other@x.y', To: 'HOLD' }) });
  assert.deepEqual([redirected.verdict.redirect, redirected.verdict.hold], ['other@x.y', false]);
});

test('a refusal is told with its status, and one that says that all is well is temporary', async () => {
  const cases: [command: string, status: string, log: string[]][] = [
    ['REJECT', '5.7.1', ['reject: header Subject: one: 5.7.1 message content rejected']],
    ['REJECT no', '5.7.1', ['reject: header Subject: one: 5.7.1 no']],
    ['REJECT 4.7.9 later', '4.7.9', ['reject: header Subject: one: 4.7.9 later']],
    [
      'REJECT 2.1.1 fine',
      '4.1.1',
      ['warning: bad DSN action in 2.1.1 fine -- need 4.x.x or 5.x.x', 'reject: header Subject: one: 4.1.1 fine'],
    ],
  ];
  for (const [command, status, log] of cases) {
    const refused = await inspect(MESSAGE, { header: table({ Subject: command }) });
    assert.deepEqual([refused.verdict.reject?.status, refused.log], [status, log], command);
  }
});

test('decisions about the message add up', async () => {
  const { verdict, content } = await inspect(MESSAGE, {
    header: table({ Subject: 'FILTER scan:host', To: 'BCC watch@x.y' }),
    body: table({ first: 'HOLD look at it', second: 'REDIRECT other@x.y' }),
  });
  assert.deepEqual(verdict, {
    reject: undefined,
    discard: false,
    hold: true,
    filter: 'scan:host',
    redirect: 'other@x.y',
    bcc: ['watch@x.y'],
    pass: false,
  });
  assert.equal(content, MESSAGE);
});

test('mistakes in tables are told to the log and change nothing', async () => {
  const { content, log } = await inspect(MESSAGE, {
    header: table({ Subject: 'REPLACE no header', To: 'FILTER nowhere' }),
    body: table({ first: 'REDIRECT nobody', second: 'EXPLODE now' }),
  });
  assert.equal(content, MESSAGE);
  assert.deepEqual(log, [
    'warning: bad REPLACE header text "no header" in header_checks map -- need "headername: headervalue"',
    'warning: bad FILTER command "nowhere" in header_checks -- need transport:destination',
    'warning: bad REDIRECT target "nobody" in body_checks map -- need user@domain',
    'warning: unknown command in body_checks map: EXPLODE now',
  ]);
});

test('each kind of header has its table, and a body is checked up to its limit', async () => {
  const message =
    'Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n' +
    'Subject: nested\n\naaaa\nbbbb\n--b--\n';
  const info: LineLookup = () => 'INFO';
  const seen = async (checks: Partial<HeaderBodyChecks>, limit?: number): Promise<readonly string[]> =>
    (await inspect(message, checks, limit)).log;
  assert.deepEqual(await seen({ header: info }), ['info: header Subject: s: ']);
  assert.deepEqual(await seen({ nestedHeader: info }), ['info: header Subject: nested: ']);
  assert.deepEqual(await seen({ mimeHeader: info }), [
    'info: header Content-Type: multipart/mixed; boundary=b: ',
    'info: header Content-Type: message/rfc822: ',
  ]);
  assert.deepEqual(await seen({ body: info }, 3), ['info: body --b: ', 'info: body aaaa: ', 'info: body --b--: ']);
});

test('text beyond ASCII is looked up as text, and its bytes stay', async () => {
  const message = 'Subject: gr\u00fc\u00dfe\n\n\u00e9\n';
  const { content, log } = await inspect(message, {
    header: (line) => (line === 'Subject: gr\u00fc\u00dfe' ? 'PREPEND X: \u00f6' : undefined),
  });
  assert.equal(content, `X: \u00f6\n${message}`);
  assert.equal(log.length, 1);
});

test('a table that fails is not one that says nothing', async () => {
  const failing: LineLookup = () => Promise.reject(new TableError('away'));
  await assert.rejects(inspect(MESSAGE, { header: failing }), TableError);
});

test('a broken structure is a reason to refuse where the parameters say so', async () => {
  const lenient = await inspect('Subject: \u00e9\n\nx\n', {});
  assert.equal(lenient.verdict.reject, undefined);
  const strict = await inspect('Subject: \u00e9\n\nx\n', {}, 51200, ['8bit-in-header']);
  assert.deepEqual(strict.verdict.reject, { status: '5.6.0', text: 'improper use of 8-bit data in message header' });
  assert.equal(strict.log.length, 1);
});

test('the parameters decide what is inspected', async () => {
  const tables = { directory: '.', warn: assert.fail, signal: new AbortController().signal };
  const open = (mainCf: string) => openHeaderBodyChecks(Configuration.fromText(mainCf), tables);
  const mail = Buffer.from('Content-Type: text/plain\n\nx\n');
  const deep = Buffer.from('Content-Type: message/rfc822\n\n'.repeat(102));
  const long = Buffer.from(`Subject: ${'x'.repeat(102_400)}\n\nx\n`);
  await using plain = await open('');
  assert.deepEqual([...plain.options.mime.report], []);
  assert.deepEqual([plain.isNeeded(mail), plain.isNeeded(deep), plain.isNeeded(long)], [false, false, true]);
  await using bodies = await open('body_checks=static:dunno\n');
  assert.deepEqual([...bodies.options.mime.report], []);
  await using headers = await open('nested_header_checks=static:dunno\n');
  assert.deepEqual([...headers.options.mime.report], ['nesting']);
  await using checked = await open(
    'header_checks=static:dunno\nstrict_8bitmime=yes\nstrict_mime_encoding_domain=yes\n',
  );
  const { header, mimeHeader, nestedHeader, body } = checked.options.checks;
  assert.ok(header && mimeHeader && nestedHeader && !body);
  assert.equal(checked.options.mime.report.size, 4);
  assert.ok(checked.isNeeded(mail));
});
