import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Envelope, type SubmitReply, SubmitStatus } from '../../lib/clients/protocols.ts';
import { replaceCarriages, replaceCarriagesIn } from './stray-carriages.ts';
import { type SubmitContext, submit } from './submit.ts';

for (const [content, expected] of [
  ['', ''],
  ['a\nb\n', 'a\nb\n'],
  ['\ra\rb\r\n\r\r', ' a b \n  '],
] as const) {
  test(`${JSON.stringify(content)} is kept as ${JSON.stringify(expected)}`, async () => {
    const bytes = Buffer.from(content);
    assert.equal(replaceCarriages(bytes).toString(), expected);
    assert.equal(bytes.toString(), content, 'the content is its sender’s');
    const bytewise = async function* (): AsyncGenerator<Buffer> {
      for (const byte of bytes) yield Buffer.of(byte);
    };
    let kept = '';
    for await (const piece of replaceCarriagesIn(bytewise())) kept += piece.toString();
    assert.equal(kept, expected);
  });
}

/** The content that is put into the log. */
async function keptOf(content: string, replaceStrayCarriages: boolean): Promise<string> {
  let kept = '';
  const settings = {
    replaceStrayCarriages,
    inlineLimit: 1000,
    messageSizeLimit: 0,
    hopcountLimit: 50,
    dropHeaders: new Set(),
    duplicateFilterLimit: 0,
    headerAddressTokenLimit: 100,
  };
  const context = {
    settings,
    log: { info: () => undefined, warning: () => undefined },
    space: { hasRoom: () => true },
    mapping: { envelope: (envelope: Envelope) => ({ ok: true, envelope }) },
    inspection: { isNeeded: () => false },
    committer: {
      commit: (_envelope: Envelope, pieces: Buffer[]): SubmitReply => {
        kept = Buffer.concat(pieces).toString();
        return { status: SubmitStatus.QUEUED, queueId: '', enhancedStatus: '', reason: '' };
      },
    },
  } as unknown as SubmitContext;
  const recipient = { address: 'b@example.com', originalAddress: '', dsnOriginalRecipient: '', dsnNotify: 0 };
  await submit(context, {
    envelope: Envelope.fromPartial({ sender: 'a@example.com', recipients: [recipient] }),
    options: {
      prependReceived: false,
      mapAddresses: false,
      filterContent: false,
      extractRecipients: false,
      smtpMilters: false,
    },
    content: Buffer.from(content),
    activeClients: 1,
  });
  return kept;
}

test('lone CRs of a message are blanks when it is kept, where cleanup_replace_stray_cr_lf says so', async () => {
  const content = 'Subject: a\rb\n\nbody\r.\rMAIL FROM:<x>\n';
  assert.equal(await keptOf(content, true), 'Subject: a b\n\nbody . MAIL FROM:<x>\n');
  assert.equal(await keptOf(content, false), content);
});
