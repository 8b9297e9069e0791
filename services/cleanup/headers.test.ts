import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Envelope } from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { introduction } from '../../lib/mail/first-line.ts';
import { scanHeaders } from '../../lib/mail/headers.ts';
import { lacksFrom, type ShapedHeaders, shapeHeaders } from './headers.ts';
import { cleanupSettings } from './settings.ts';

interface Shaping {
  readonly context?: 'local' | 'remote';
  readonly mainCf?: string;
}

function shape(text: string, { context = 'remote', mainCf = '' }: Shaping = {}): ShapedHeaders & { text: string } {
  const content = Buffer.from(text, 'latin1');
  const block = scanHeaders(content);
  const settings = cleanupSettings(Configuration.fromText(`myhostname = mx.example\n${mainCf}\n`));
  const envelope = Envelope.fromPartial({
    queueId: '4ID',
    rewriteContext: context,
    arrivalTime: 1_700_000_000_000_000,
  });
  const from = lacksFrom(block, envelope, settings) ? 'sender@example' : 'not asked for';
  const shaped = shapeHeaders(content, block, new Map(), from, envelope, settings);
  const whole = Buffer.concat([...shaped.pieces, content.subarray(shaped.bodyStart)]);
  return { ...shaped, text: whole.toString('latin1').replace(/^((?:Resent-)?Date:).*$/gm, '$1') };
}

test('headers stay, but for blanks in front of a colon; a message without body gets no empty line', () => {
  const cases: [text: string, shaped: string][] = [
    ['Subject: x\n\nbody\n', 'Subject: x\n\nbody\n'],
    ['X-Odd : x\nCc\t : y\n folded\n\n', 'X-Odd: x\nCc: y\n folded\n\n'],
    ['Subject: x\nBcc: me\n', 'Subject: x\n'],
    ['no header\n', '\nno header\n'],
    ['Subject: x\nno header\n', 'Subject: x\n\nno header\n'],
    ['', ''],
    ['\n', '\n'],
  ];
  for (const [text, shaped] of cases) assert.equal(shape(text).text, shaped);
});

test('what is missing is added for clients whose headers are rewritten, under Resent- names where mail is sent on', () => {
  const added = 'Message-Id: <20231114221320.4ID@mx.example>\nDate:\nFrom: sender@example\n';
  const resent = added.replace(/^/gm, 'Resent-').slice(0, -'Resent-'.length);
  const cases: [text: string, options: Shaping, shaped: string][] = [
    ['To: x\n\n', {}, 'To: x\n\n'],
    ['To: x\n\n', { context: 'local' }, `To: x\n${added}\n`],
    ['To: x\n\n', { mainCf: 'remote_header_rewrite_domain = d.invalid' }, `To: x\n${added}\n`],
    ['To: x\n\n', { mainCf: 'always_add_missing_headers = yes' }, `To: x\n${added}\n`],
    ['Resent-To: x\n\n', { context: 'local' }, `Resent-To: x\n${resent}\n`],
    ['To: x\nResent-Bcc: y\n\n', { context: 'local' }, `To: x\n${resent}\n`],
    ['To: x\nResent-Odd: y\n\n', { context: 'local' }, `To: x\nResent-Odd: y\n${added}\n`],
  ];
  for (const [text, options, shaped] of cases) assert.equal(shape(text, options).text, shaped, JSON.stringify(text));
});

test('the log learns which Message-ID a message has, and which it is sent on under', () => {
  const cases: [
    text: string,
    context: 'local' | 'remote',
    ids: [id: string | undefined, resent: string | undefined],
  ][] = [
    ['To: x\n\n', 'remote', [undefined, undefined]],
    ['Message-ID:  <a@b> \nMessage-ID: <c@d>\n\n', 'remote', ['<a@b>', undefined]],
    ['Message-ID:\n\n', 'local', ['', undefined]],
    ['Resent-Message-ID: <a@b>\n\n', 'local', [undefined, '<a@b>']],
    ['Resent-To: x\n\n', 'local', [undefined, '<20231114221320.4ID@mx.example>']],
    ['To: x\n\n', 'local', ['<20231114221320.4ID@mx.example>', undefined]],
  ];
  for (const [text, context, ids] of cases) {
    const { messageId, resentMessageId } = shape(text, { context });
    assert.deepEqual([messageId, resentMessageId], ids, JSON.stringify(text));
  }
});

test('the first line of a mailbox file becomes a header, and a first line that begins with a blank no part of ours', () => {
  const cases: [content: string, front: string][] = [
    ['From someone Mon Jan 1\nSubject: x\n', 'X-Mailbox-Line: '],
    ['>>From someone\n', 'X-Mailbox-Line: '],
    ['From: me\n', ''],
    ['Subject: x\nFrom me\n', ''],
    [' blank\n', '\n'],
    ['\ttab\n', '\n'],
    ['', ''],
  ];
  for (const [content, front] of cases) assert.equal(introduction(Buffer.from(content)).toString(), front, content);
});
