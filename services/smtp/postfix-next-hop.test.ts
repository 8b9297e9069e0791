/** Delivery to Debian's Postfix. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { debianPostfix, withoutPostfix } from '../../test/support/debian-postfix.ts';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { service } from './main.ts';

/** The content behind the header lines that Postfix puts in front. */
function behindTrace(message: Buffer): string {
  const text = message.toString('latin1');
  return text.slice(text.indexOf('Subject: '));
}

test('Postfix keeps the bytes that were sent, and a rejected recipient is bounced', {
  skip: withoutPostfix,
}, async () => {
  await using postfix = await debianPostfix();
  await using agent = await startAgent(service, { mainCf: '' });
  const nexthop = `[127.0.0.1]:${postfix.port}`;
  // With all headers that Postfix would add.
  const head =
    'Subject: test\nFrom: s@example.com\nDate: Sun, 22 Nov 2026 15:00:00 +0000\nMessage-Id: <1@example.com>\nMIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n';
  const odd = Buffer.concat([
    Buffer.from(`${head}Gr\u00fc\u00dfe\n.\n..\nend of it\n`),
    Buffer.from([0xff, 0x80, 10]),
    Buffer.from('no line end'),
  ]);
  const long = Buffer.from(`${head}${`${'0123456789'.repeat(7)}\n`.repeat(100_000)}`);
  for (const content of [odd, long]) {
    const reply = await agent.deliver(
      { nexthop, content, encoding: '8bit', dsnRet: 'HDRS', dsnEnvid: 'x' },
      'a@example.net',
      'b@elsewhere.invalid',
    );
    assert.deepEqual(
      reply.recipients.toSorted((a, b) => a.offset - b.offset).map(({ status }) => status),
      [DeliveryStatus.SENT, DeliveryStatus.SENT],
      statusOf(reply).join(),
    );
  }
  const kept = (await postfix.messages(2)).sort((a, b) => a.length - b.length);
  assert.equal(behindTrace(kept[0]!), `${odd.toString('latin1')}\n`);
  assert.equal(behindTrace(kept[1]!), long.toString('latin1'));
  const refused = await agent.deliver({ nexthop, content: odd }, 'no..dots..@');
  assert.equal(refused.recipients[0]!.status, DeliveryStatus.BOUNCED, statusOf(refused).join());
});
