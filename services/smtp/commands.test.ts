import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeliveryRecipient, DeliveryRequest } from '../../lib/clients/protocols.ts';
import { mailCommand, rcptCommand, xtext } from './commands.ts';
import type { Features } from './session.ts';

const NONE: Features = {
  esmtp: true,
  pipelining: false,
  eightBitMime: false,
  dsn: false,
  smtputf8: false,
  startTls: false,
  auth: [],
  size: false,
  sizeLimit: 0,
};
const ALL: Features = { ...NONE, eightBitMime: true, dsn: true, smtputf8: true, size: true };

const request = (values: Partial<DeliveryRequest>) =>
  ({ sender: 's@example.com', encoding: '', dsnRet: '', dsnEnvid: '', smtputf8: false, ...values }) as DeliveryRequest;
const recipient = (values: Partial<DeliveryRecipient>) =>
  ({
    address: 'r@example.org',
    originalAddress: '',
    dsnOriginalRecipient: '',
    dsnNotify: 0,
    ...values,
  }) as DeliveryRecipient;

test('MAIL carries what the server offers and the message has', () => {
  const cases: [Partial<DeliveryRequest>, Features, string][] = [
    [{}, NONE, 'MAIL FROM:<s@example.com>'],
    [{ sender: '' }, NONE, 'MAIL FROM:<>'],
    [{ sender: 'two words@example.com' }, NONE, 'MAIL FROM:<"two words"@example.com>'],
    [{}, ALL, 'MAIL FROM:<s@example.com> SIZE=12'],
    [{ encoding: '8bit' }, ALL, 'MAIL FROM:<s@example.com> SIZE=12 BODY=8BITMIME'],
    [{ encoding: '7bit' }, ALL, 'MAIL FROM:<s@example.com> SIZE=12 BODY=7BIT'],
    [{ smtputf8: true }, ALL, 'MAIL FROM:<s@example.com> SIZE=12 SMTPUTF8'],
    [{ dsnRet: 'HDRS', dsnEnvid: 'a+20b' }, ALL, 'MAIL FROM:<s@example.com> SIZE=12 RET=HDRS ENVID=a+20b'],
    [{ dsnRet: 'HDRS', dsnEnvid: 'a', encoding: '8bit', smtputf8: true }, NONE, 'MAIL FROM:<s@example.com>'],
    [{ dsnRet: 'ALL', dsnEnvid: 'a b' }, ALL, 'MAIL FROM:<s@example.com> SIZE=12'],
    [{ dsnEnvid: 'a\r\nRSET' }, ALL, 'MAIL FROM:<s@example.com> SIZE=12'],
  ];
  for (const [values, features, command] of cases) {
    assert.equal(mailCommand(request(values), 12, { features, quote: true }), `${command}\r\n`);
  }
});

test('RCPT carries what the sender wants to know', () => {
  const cases: [Partial<DeliveryRecipient>, Features, string][] = [
    [{ dsnNotify: 1, dsnOriginalRecipient: 'rfc822;x@example.org' }, NONE, 'RCPT TO:<r@example.org>'],
    [{ dsnNotify: 1 }, ALL, 'RCPT TO:<r@example.org> NOTIFY=NEVER ORCPT=rfc822;r@example.org'],
    [{ dsnNotify: 14 }, ALL, 'RCPT TO:<r@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;r@example.org'],
    [{ dsnOriginalRecipient: 'rfc822;x@example.org' }, ALL, 'RCPT TO:<r@example.org> ORCPT=rfc822;x@example.org'],
    [{ originalAddress: 'a+b=c@example.org' }, ALL, 'RCPT TO:<r@example.org> ORCPT=rfc822;a+2Bb+3Dc@example.org'],
    [
      { originalAddress: 'two words@example.org' },
      ALL,
      'RCPT TO:<r@example.org> ORCPT=rfc822;"two+20words"@example.org',
    ],
    [{ dsnOriginalRecipient: 'rfc822;x> y' }, ALL, 'RCPT TO:<r@example.org> ORCPT=rfc822;r@example.org'],
  ];
  for (const [values, features, command] of cases) {
    assert.equal(rcptCommand(recipient(values), { features, quote: true }), `${command}\r\n`);
  }
});

test('xtext leaves printable ASCII alone', () => {
  assert.equal(xtext('a@b.c+d=e f\u00fc'), 'a@b.c+2Bd+3De+20f+C3+BC');
});
