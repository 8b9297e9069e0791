import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Envelope } from '../../lib/clients/protocols.ts';
import type { Log } from '../../lib/util/log.ts';
import { applyVerdict, checkLog } from './inspection.ts';

const envelope = Envelope.fromPartial({
  queueId: '4ID',
  sender: 's@x.y',
  client: { name: 'host.x', address: '192.0.2.1', protocolName: 'ESMTP', heloName: 'me' },
  recipients: [{ address: 'first@x.y' }, { address: 'last@x.y' }],
});

test('an action is told with the client and the last recipient, a broken structure without the session', () => {
  const lines: string[] = [];
  const log = { info: (text: string) => lines.push(text), warning: (text: string) => lines.push(text) };
  const told = checkLog(envelope, log as unknown as Log);
  told.action('reject', 'header', 'Subject: \xc3\xa9 \xe9', '5.7.1 no');
  told.action('reject', 'mime-error', 'too deep: x', '');
  told.warn('bad REDIRECT target "x" in header_checks map -- need user@domain');
  const origin = 'from host.x[192.0.2.1]; from=<s@x.y> to=<last@x.y>';
  assert.deepEqual(lines, [
    `4ID: reject: header Subject: \u00e9 ? ${origin} proto=ESMTP helo=<me>: 5.7.1 no`,
    `4ID: reject: mime-error too deep: x ${origin}`,
    'bad REDIRECT target "x" in header_checks map -- need user@domain',
  ]);
});

test('a message that is redirected goes to one address, in place of the last recipient', () => {
  const verdict = {
    reject: undefined,
    discard: false,
    hold: false,
    filter: '',
    redirect: 'other@x.y',
    bcc: [],
    pass: false,
  };
  const { recipients } = applyVerdict(envelope, verdict);
  assert.deepEqual(
    recipients.map(({ address, originalAddress }) => [address, originalAddress]),
    [['other@x.y', 'last@x.y']],
  );
});
