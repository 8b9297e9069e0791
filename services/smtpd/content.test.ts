/** Content on its way to cleanup: kept or streamed by size, held up and given up as it must be. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { SubmitStatus, Unavailable } from '../../lib/clients/protocols.ts';
import { startSmtpd } from './smtpd-for-tests.ts';

const MEGABYTE = 1024 * 1024;

test('a message of 50 MB is streamed, and held up by a cleanup that is slow', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'message_size_limit = 100000000\n' });
  let piecesBefore = 0;
  const resume = Promise.withResolvers<void>();
  smtpd.cleanup.onPiece = () => {
    piecesBefore += 1;
    return resume.promise;
  };
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  const line = `${'m'.repeat(998)}\r\n`;
  const block = Buffer.from(line.repeat(1000));
  let written = 0;
  const send = async (): Promise<void> => {
    for (; written < 50 * MEGABYTE; written += block.length) {
      if (!client.socket.write(block)) await new Promise((resolve) => client.socket.once('drain', resolve));
    }
  };
  const sent = send();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const heldUp = written;
  assert.equal(piecesBefore, 1);
  assert.ok(heldUp < 20 * MEGABYTE, `${heldUp} bytes were taken although nobody read them`);
  const memory = process.memoryUsage().external;
  resume.resolve();
  await sent;
  client.send('.\r\n');
  assert.match(await client.reply(), /^250 2\.0\.0 Ok: queued as /);
  const [message] = smtpd.cleanup.submissions;
  assert.equal(message?.large, true);
  assert.equal(message?.content.length, (written / line.length) * (line.length - 1));
  assert.ok(memory < 200 * MEGABYTE);
});

test('chunks that come whole are held up by a cleanup that is slow', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'message_size_limit = 100000000\n' });
  const resume = Promise.withResolvers<void>();
  smtpd.cleanup.onPiece = () => resume.promise;
  using client = await smtpd.client();
  await client.envelope();
  const chunk = Buffer.from(`BDAT 20000\r\n${`${'c'.repeat(998)}\r\n`.repeat(20)}`);
  let answered = 0;
  const send = async (): Promise<void> => {
    for (; answered < 1000; answered++) {
      client.send(chunk);
      assert.equal(await client.reply(), '250 2.0.0 Ok: 20000 bytes');
    }
  };
  const sent = send();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(answered < 100, `${answered} chunks were taken although nobody read them`);
  resume.resolve();
  await sent;
  assert.match(await client.say('BDAT 0 LAST'), /^250 2\.0\.0 Ok: 20000000 bytes queued as /);
});

test('a message larger than message_size_limit is refused at its end, and a declared size at MAIL', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'message_size_limit = 400000\n' });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  assert.equal(await client.say('MAIL FROM:<a@example.com> SIZE=400001'), '552 5.3.4 Message size exceeds fixed limit');
  for (const size of [1000, 400_001]) {
    await client.envelope();
    await client.say('DATA');
    const reply = await client.say(`${'x\r\n'.repeat(Math.ceil(size / 2))}.`);
    if (size < 400_000) assert.match(reply, /^250 /);
    else assert.equal(reply, '552 5.3.4 Error: message file too big');
  }
  assert.equal(smtpd.cleanup.submissions.length, 1);
});

test('a client that goes away in the middle of a large message makes its submission fail', async () => {
  await using smtpd = await startSmtpd();
  const client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  let failed: unknown;
  const { submitLarge } = smtpd.cleanup;
  smtpd.cleanup.submitLarge = async (request, content) => {
    try {
      return await submitLarge.call(smtpd.cleanup, request, content);
    } catch (error) {
      failed = error;
      throw error;
    }
  };
  client.send(Buffer.alloc(MEGABYTE, 'line of text\r\n'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  client.socket.destroy();
  await smtpd.context.logged('disconnect from');
  await new Promise((resolve) => setImmediate(resolve));
  assert.match(String(failed), /connection lost/);
  assert.equal(smtpd.cleanup.submissions.length, 0);
});

test('a cleanup that gives up early is told to the client at the end of the message', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  smtpd.cleanup.submitLarge = async () => ({
    status: SubmitStatus.NO_SPACE,
    queueId: '',
    enhancedStatus: '',
    reason: '',
  });
  client.send(Buffer.alloc(4 * MEGABYTE, 'line of text\r\n'));
  assert.equal(await client.say('\r\n.'), '452 4.3.1 Error: insufficient system storage');
  assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
});

test('without cleanup there is no 250', async () => {
  await using smtpd = await startSmtpd({ warnings: ['problem talking to service cleanup: away'] });
  using client = await smtpd.client();
  smtpd.cleanup.failure = new Unavailable('away');
  await client.envelope();
  await client.say('DATA');
  assert.equal(await client.say('x\r\n.'), '451 4.3.0 Error: queue file write error');
});

for (const [status, reply] of [
  [SubmitStatus.WRITE_ERROR, '451 4.3.0 Error: queue file write error'],
  [SubmitStatus.NO_SPACE, '452 4.3.1 Error: insufficient system storage'],
  [SubmitStatus.TOO_LARGE, '552 5.3.4 Error: message file too big'],
  [SubmitStatus.TOO_MANY_HOPS, '554 5.4.0 Error: too many hops'],
  [SubmitStatus.CONTENT_REFUSED, '550 5.7.1 Error: message content rejected'],
  [SubmitStatus.TEMPORARY_ERROR, '451 4.3.0 Error: queue file write error'],
  [SubmitStatus.UNSPECIFIED, '451 4.3.0 Error: queue file write error'],
] as const) {
  test(`a cleanup that answers ${status} makes the reply ${reply.slice(0, 9)}`, async () => {
    await using smtpd = await startSmtpd();
    using client = await smtpd.client();
    smtpd.cleanup.status = status;
    await client.envelope();
    await client.say('DATA');
    assert.equal(await client.say('x\r\n.'), reply);
  });
}

test('8-bit content and DSN parameters arrive as they were sent', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  await client.say('MAIL FROM:<a@example.com> BODY=8BITMIME RET=HDRS ENVID=a+2Bb');
  await client.say('RCPT TO:<"two words"@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.net');
  await client.say('DATA');
  const bytes = Buffer.from(
    Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 10 && byte !== 13),
  );
  client.send(bytes);
  await client.say('\r\n.');
  const { request, content } = smtpd.cleanup.submissions[0]!;
  assert.ok(content.equals(Buffer.concat([bytes, Buffer.from('\n')])));
  const { encoding, dsnRet, dsnEnvid, recipients, contentSize } = request.envelope!;
  assert.deepEqual(
    { encoding, dsnRet, dsnEnvid, contentSize },
    { encoding: '8bit', dsnRet: 'HDRS', dsnEnvid: 'a+2Bb', contentSize: content.length },
  );
  assert.deepEqual(recipients, [
    {
      address: 'two words@example.org',
      originalAddress: '',
      dsnOriginalRecipient: 'rfc822;a+2Bb@example.net',
      dsnNotify: 10,
    },
  ]);
});

test('a pipelined session is answered in few writes and in order', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  const chunks: number[] = [];
  client.socket.on('data', (text: string) => chunks.push(text.length));
  client.send('MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n');
  assert.equal(await client.reply(), '250 2.1.0 Ok');
  assert.equal(await client.reply(), '250 2.1.5 Ok');
  assert.equal(await client.reply(), '250 2.1.5 Ok');
  assert.equal(await client.reply(), '354 End data with <CR><LF>.<CR><LF>');
  assert.equal(chunks.length, 1);
  client.send('x\r\n.\r\nMAIL FROM:<b@example.com>\r\nRCPT TO:<c@example.org>\r\nQUIT\r\n');
  assert.match(await client.reply(), /^250 2\.0\.0 Ok: queued as /);
  assert.equal(await client.reply(), '250 2.1.0 Ok');
  assert.equal(await client.reply(), '250 2.1.5 Ok');
  assert.equal(await client.reply(), '221 2.0.0 Bye');
});

test('sessions under way go on while the service drains, and end with 421 at the end of the grace period', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  smtpd.context.drain();
  await client.envelope();
  await client.say('DATA');
  assert.match(await client.say('x\r\n.'), /^250 /);
  smtpd.context.stop();
  assert.match(await client.end(), /^421 4\.3\.2 mail\.example\.org Service shutting down\r\n$|^$/);
});
