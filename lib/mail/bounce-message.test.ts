import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { composeBounce, wrap } from './bounce-message.ts';
import { builtInTemplates } from './bounce-template.ts';

test('wrapped lines hold the same words, and are no longer than they must be', () => {
  const word = fc.string({ minLength: 1, maxLength: 100 }).map((text) => text.replace(/\s/g, '_'));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 30 }), (words) => {
      const lines = wrap(words.join(' '));
      const clean = (text: string) => text.replace(/[\x00-\x1f\x7f]/g, '?');
      assert.deepEqual(
        lines.flatMap((line) => line.trim().split(/ +/)),
        words.map(clean),
      );
      for (const [at, line] of lines.entries()) {
        if (at > 0) assert.ok(line.startsWith('    '));
        assert.ok(line.length <= 79 || !line.trim().includes(' '), line);
      }
    }),
  );
});

test('whatever a message and a server say, the notice has three parts and the fields of one recipient', () => {
  const text = fc.string({ unit: 'binary', maxLength: 60 });
  const { failure } = builtInTemplates('standard');
  fc.assert(
    fc.property(text, text, text, fc.uint8Array({ maxLength: 200 }), fc.boolean(), (a, b, c, content, smtputf8) => {
      const notice = composeBounce({
        template: failure,
        introduction: ['x'],
        postmasterCopy: false,
        to: a,
        myhostname: 'mail.example.org',
        mailName: 'Postfix',
        boundaryTag: '1',
        message: { queueId: 'ID', sender: b, arrivalTime: 0, envelopeId: c, smtputf8, threadWith: a },
        recipients: [
          {
            address: a,
            originalAddress: b,
            dsnOriginalRecipient: c,
            status: '5.1.1',
            action: 'failed',
            reason: a,
            diagnosticType: b,
            diagnosticText: c,
            remoteMta: a,
          },
        ],
        original: { kind: 'headers', content: Buffer.from(content) },
      });
      const [head = '', ...parts] = notice.content.toString('latin1').split('--ID.1/mail.example.org');
      assert.equal(parts.length, 4);
      assert.equal(parts.at(-1), '--\n');
      assert.match(head, /^From: .*\nSubject: .*\nTo: .*\n/);
      assert.equal(parts[1]!.match(/^(Final-Recipient|Status): /gm)!.length, 2);
      assert.equal(notice.encoding, /[\x80-\xff]/.test(parts.join('')) ? '8bit' : '7bit');
    }),
  );
});
