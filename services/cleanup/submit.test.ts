import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Envelope, type SubmitRequest, Unavailable } from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { scanHeaders } from '../../lib/mail/headers.ts';
import { promised } from '../../lib/util/maybe-promise.ts';
import { extractRecipients } from './extract.ts';
import { cleanupSettings } from './settings.ts';
import { type SubmitContext, submit } from './submit.ts';

test('a header and a sender that cannot be rewritten at present are one failure, of which the caller hears', async () => {
  const away = async () => Promise.reject(new Unavailable('trivial-rewrite is away'));
  const context = {
    settings: cleanupSettings(Configuration.fromText('myhostname = mx.example\n')),
    log: { info: () => undefined, warning: () => undefined },
    space: { hasRoom: () => true },
    mapping: { maps: () => true, one: away, completeExternal: away, mapped: away, envelope: away },
    inspection: { isNeeded: () => false },
  } as unknown as SubmitContext;
  const request: SubmitRequest = {
    envelope: Envelope.fromPartial({ sender: 'root', rewriteContext: 'local', recipients: [{ address: 'bob' }] }),
    content: Buffer.from('To: bob\n\nhello\n'),
    options: {
      prependReceived: true,
      mapAddresses: true,
      filterContent: false,
      extractRecipients: false,
      smtpMilters: false,
    },
    activeClients: 0,
  };
  // A rejection that nobody handles would fail the test as well.
  await assert.rejects(
    promised(() => submit(context, request)),
    Unavailable,
  );
  await new Promise((resolve) => setImmediate(resolve));
});

test('recipients of headers are taken as they are written, in UTF-8 as well', () => {
  const content = Buffer.from('To: jösé@example.com, plain@example.com\n\n');
  const found = extractRecipients(content, scanHeaders(content), 100).map(({ address }) => address);
  assert.deepEqual(found, ['jösé@example.com', 'plain@example.com']);
  const sent = Envelope.decode(
    Envelope.encode(Envelope.fromPartial({ recipients: [{ address: found[0]! }] })).finish(),
  );
  assert.equal(sent.recipients[0]?.address, 'jösé@example.com');
});
