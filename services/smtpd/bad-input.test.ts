/** What clients send that they should not: each gets a clear reply, the session ends or goes on, and nothing else suffers. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import test from 'node:test';
import { startSmtpd } from './smtpd-for-tests.ts';

const OUTSIDE = 'mynetworks = 192.0.2.0/24\nsmtpd_client_connection_count_limit = 0\n';

test('a command longer than line_length_limit is refused, told in the log, and the session goes on', async () => {
  await using smtpd = await startSmtpd({ warnings: ['request longer than 2048'] });
  using client = await smtpd.client();
  const refusal = '500 5.5.2 mail.example.org Error: command too long';
  assert.equal(await client.say(`x${'y'.repeat(900_000)}`), refusal);
  assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
});

test('lines of 900 kB of content pass byte for byte', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  const line = 'z'.repeat(900_000);
  assert.match(await client.say(`${line}\r\n${line}\r\n.`), /^250 2\.0\.0 Ok: queued as /);
  const [message] = smtpd.cleanup.submissions;
  assert.ok(message?.content.equals(Buffer.from(`${line}\n${line}\n`)));
  assert.equal(message?.large, true);
});

test('a command ends where a NUL stands, and a NUL is content in content', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  assert.equal(await client.say('NOOP\0 x'), '250 2.0.0 Ok');
  assert.equal(await client.say('\0NOOP'), '500 5.5.2 Error: bad syntax');
  await client.envelope();
  await client.say('DATA');
  await client.say('a\0b\r\n.');
  assert.equal(smtpd.cleanup.submissions[0]?.content.toString('latin1'), 'a\0b\n');
});

test('a web browser is sent away', async () => {
  for (const line of [
    'GET / HTTP/1.1',
    'Host: mail.example.org',
    'CONNECT mail.example.org:25 HTTP/1.1',
    '\x16\x03\x01',
    '\x16\x03\x01\0',
  ]) {
    await using smtpd = await startSmtpd({ warnings: ['non-SMTP command'] });
    using client = await smtpd.client();
    assert.equal(await client.say(line), '221 2.7.0 Error: I can break rules, too. Goodbye.');
    await client.end();
  }
});

test('thousands of unknown commands end the session at smtpd_hard_error_limit', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_error_sleep_time = 0\n' });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  client.send('FOO\r\n'.repeat(5000));
  for (let at = 0; at < 20; at++) assert.equal(await client.reply(), '500 5.5.2 Error: command not recognized');
  assert.equal(await client.reply(), '421 4.7.0 mail.example.org Error: too many errors');
  await smtpd.context.logged('too many errors after UNKNOWN from localhost[127.0.0.1]');
  using other = await smtpd.client();
  assert.equal(await other.say('NOOP'), '250 2.0.0 Ok');
});

test('errors beyond smtpd_soft_error_limit are answered slowly', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_soft_error_limit = 1\nsmtpd_error_sleep_time = 1\n' });
  using client = await smtpd.client();
  await client.say('FOO');
  const before = performance.now();
  await client.say('FOO');
  assert.ok(performance.now() - before > 900);
});

test('junk commands alone end a session at smtpd_hard_error_limit', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_junk_command_limit = 1\nsmtpd_hard_error_limit = 2\n' });
  using client = await smtpd.client();
  for (let at = 0; at < 4; at++) assert.match(await client.say('NOOP'), /^250 /);
  assert.match(await client.reply(), /^421 4\.7\.0 .*too many errors/);
});

test('junk commands count as errors beyond smtpd_junk_command_limit', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_error_sleep_time = 0\nsmtpd_junk_command_limit = 3\nsmtpd_hard_error_limit = 2\n',
  });
  using client = await smtpd.client();
  for (let at = 0; at < 5; at++) assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
  await client.say('FOO');
  assert.match(await client.reply(), /^421 4\.7\.0 /);
});

test('junk commands that are all good end the session too', async () => {
  await using smtpd = await startSmtpd({
    mainCf:
      'smtpd_error_sleep_time = 0\nsmtpd_junk_command_limit = 3\nsmtpd_hard_error_limit = 2\nsmtpd_noop_commands = ETRN\n',
  });
  using client = await smtpd.client();
  for (let at = 0; at < 3; at++) assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
  for (let at = 0; at < 3; at++) assert.equal(await client.say('ETRN'), '250 2.0.0 Ok');
  assert.match(await client.reply(), /^421 4\.7\.0 /);
  await smtpd.context.logged('disconnect from localhost[127.0.0.1] noop=3 commands=3');
});

test('beyond smtpd_soft_error_limit good replies are slow as well, and each is sent when its time has come', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_soft_error_limit = 1\nsmtpd_error_sleep_time = 1\n' });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  await client.say('FOO');
  const before = performance.now();
  client.send('RSET\r\nRSET\r\n');
  await client.reply();
  const first = performance.now() - before;
  await client.reply();
  assert.ok(first > 900 && first < 1900, `${first} ms`);
  assert.ok(performance.now() - before > 1900);
});

for (const [command, reply] of [
  ['STARTTLS', '502 5.5.1 Error: command not implemented'],
  ['STARTTLS x', '501 5.5.4 Syntax: STARTTLS'],
  ['AUTH PLAIN AGEAYg==', '503 5.5.1 Error: authentication not enabled'],
  ['HELP', '214 2.0.0 Commands: BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET VRFY XCLIENT XFORWARD'],
  ['XCLIENT', '501 5.5.4 Syntax: XCLIENT attribute=value...'],
  ['XFORWARD', '501 5.5.4 Syntax: XFORWARD attribute=value...'],
  ['DATA x', '503 5.5.1 Error: need RCPT command'],
  ['ETRN', '500 Syntax: ETRN domain'],
  ['FOO : bar', '500 5.5.2 Error: command not recognized'],
] as const) {
  test(`${command} is answered with ${reply.slice(0, 9)}`, async () => {
    await using smtpd = await startSmtpd();
    using client = await smtpd.client();
    await client.say('EHLO client.example.com');
    assert.equal(await client.say(command), reply);
    assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
  });
}

test('a client that was refused gets the same answer to everything but QUIT', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_delay_reject = no\nsmtpd_client_restrictions = reject\nsmtpd_error_sleep_time = 0\n',
  });
  using client = await smtpd.client();
  const denied = '503 5.7.0 Error: access denied for localhost[127.0.0.1]';
  for (const line of ['EHLO client.example.com', 'FOO', 'NOOP\r\nNOOP']) assert.equal(await client.say(line), denied);
  assert.equal(await client.reply(), denied);
  assert.equal(await client.say('QUIT'), '221 2.0.0 Bye');
});

test('QUIT is no end of a group for a client that may not send groups', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.say('HELO client.example.com');
  assert.equal(await client.say('QUIT\r\nNOOP'), '554 5.5.0 Error: SMTP protocol synchronization');
});

test('a command that is padded beyond the limit takes nothing of what follows', async () => {
  await using smtpd = await startSmtpd({ warnings: ['request longer than 2048'] });
  using client = await smtpd.client();
  using other = await smtpd.client();
  await client.envelope();
  client.send(`BDAT 6 LAST${' '.repeat(3000)}`);
  await other.say('NOOP');
  client.send(' \r\nRSET\r\n');
  assert.equal(await client.reply(), '500 5.5.2 mail.example.org Error: command too long');
  assert.equal(await client.reply(), '250 2.0.0 Ok');
  assert.equal(smtpd.cleanup.submissions.length, 0);
});

test('commands sent ahead of the answer to EHLO end the session', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  client.send('EHLO a\r\nMAIL FROM:<a@example.com>\r\n');
  assert.equal(await client.reply(), '554 5.5.0 Error: SMTP protocol synchronization');
  await smtpd.context.logged(
    'improper command pipelining after EHLO from localhost[127.0.0.1]: MAIL FROM:<a@example.com>\\r\\n',
  );
});

test('a client that hangs up in the middle of DATA leaves nothing behind', async () => {
  await using smtpd = await startSmtpd();
  const client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  client.send('a\r\nb');
  client.socket.end();
  await smtpd.context.logged(/^lost connection after DATA \(\d bytes\) from localhost\[127\.0\.0\.1\]$/);
  await smtpd.context.logged('disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4');
  assert.equal(smtpd.cleanup.submissions.length, 0);
});

test('a half-closed connection gets the replies to all that it sent', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  client.socket.end('MAIL FROM:<a@example.com>\r\nRCPT TO:<user@example.org>\r\nRSET\r\n');
  assert.equal(await client.reply(), '250 2.1.0 Ok');
  assert.equal(await client.reply(), '250 2.1.5 Ok');
  assert.equal(await client.reply(), '250 2.0.0 Ok');
  await client.end();
  await smtpd.context.logged('lost connection after RSET from localhost[127.0.0.1]');
});

test('a client that is silent is told so and cut off', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_timeout = 1\n' });
  using client = await smtpd.client();
  assert.equal(await client.reply(), '421 4.4.2 mail.example.org Error: timeout exceeded');
  await smtpd.context.logged('timeout after CONNECT from localhost[127.0.0.1]');
});

test('DATA without end ends with the time limit', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_timeout = 1\n' });
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  client.send('a\r\n');
  assert.equal(await client.reply(), '421 4.4.2 mail.example.org Error: timeout exceeded');
  await smtpd.context.logged('timeout after DATA (2 bytes) from localhost[127.0.0.1]');
});

test('BDAT without a size ends the session, since content cannot be told from commands', async () => {
  for (const line of ['BDAT', 'BDAT x', 'BDAT -1', 'BDAT 5 FIRST', 'BDAT 5 LAST NOW', 'BDAT 1e3']) {
    await using smtpd = await startSmtpd({ warnings: ['malformed BDAT command'] });
    using client = await smtpd.client();
    await client.envelope();
    assert.equal(await client.say(line), '521 5.5.4 Syntax: BDAT count [LAST]');
    await client.end();
  }
});

test('a BDAT chunk beyond message_size_limit is read, refused, and so are those behind it', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'message_size_limit = 1000\n',
    warnings: ['exceeds message size limit'],
  });
  using client = await smtpd.client();
  await client.envelope();
  client.send(Buffer.concat([Buffer.from('BDAT 1400\r\n'), Buffer.alloc(1400, 'a')]));
  assert.equal(await client.reply(), '552 5.3.4 Chunk exceeds message size limit');
  client.send('BDAT 3 LAST\r\nabc');
  assert.equal(await client.reply(), '551 5.0.0 Discarded 3 bytes after earlier error');
  assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
  assert.equal(smtpd.cleanup.submissions.length, 0);
});

test('a BDAT chunk far beyond message_size_limit is not read', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'message_size_limit = 1000\n',
    warnings: ['exceeds message size limit', 'too much BDAT content -- disabling further input from'],
  });
  using client = await smtpd.client();
  await client.envelope();
  assert.equal(await client.say('BDAT 9223372036854775807'), '552 5.3.4 Chunk exceeds message size limit');
  await client.end();
  await smtpd.context.logged('lost connection after BDAT from localhost[127.0.0.1]');
});

test('a BDAT chunk of nothing is refused unless it is the last', async () => {
  await using smtpd = await startSmtpd({ warnings: ['null BDAT request'] });
  using client = await smtpd.client();
  await client.envelope();
  assert.equal(await client.say('BDAT 0'), '551 5.7.1 Null BDAT request');
  client.send('BDAT 3 LAST\r\nabc');
  assert.equal(await client.reply(), '551 5.0.0 Discarded 3 bytes after earlier error');
  await client.envelope();
  assert.match(await client.say('BDAT 00000000000000000 LAST'), /^250 2\.0\.0 Ok: 0 bytes queued as /);
});

test('a bare newline ends a message in chunks at the chunk that has it, where it is refused', async () => {
  await using smtpd = await startSmtpd({ mainCf: `${OUTSIDE}smtpd_forbid_bare_newline = reject\n` });
  using client = await smtpd.client();
  await client.envelope();
  client.send('BDAT 2\r\na\n');
  assert.equal(await client.reply(), '550 5.5.2 mail.example.org Error: bare <LF> received');
  client.send('BDAT 1 LAST\r\nb');
  assert.equal(await client.reply(), '551 5.0.0 Discarded 1 bytes after earlier error');
  assert.equal(await client.say('MAIL FROM:<a@example.com>'), '250 2.1.0 Ok');
});

test('bare newlines are noted where smtpd_forbid_bare_newline = note', async () => {
  await using smtpd = await startSmtpd({ mainCf: `${OUTSIDE}smtpd_forbid_bare_newline = note\n` });
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  assert.match(await client.say('a\n.\nb\r\n.'), /^250 /);
  await client.say('QUIT');
  await smtpd.context.logged('ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5 notes=bare_lf');
  assert.equal(smtpd.cleanup.submissions[0]?.content.toString(), 'a\nb\n');
});

test('BDAT chunks make one message, cut anywhere', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.envelope();
  client.send('BDAT 6\r\nab\r\nc\rBDAT 5\r\n\n.\r\nd');
  assert.equal(await client.reply(), '250 2.0.0 Ok: 6 bytes');
  assert.equal(await client.reply(), '250 2.0.0 Ok: 5 bytes');
  assert.match(await client.say('BDAT 0 LAST'), /^250 2\.0\.0 Ok: 13 bytes queued as /);
  assert.equal(smtpd.cleanup.submissions[0]?.content.toString(), 'ab\nc\n.\nd\n');
  await client.say('QUIT');
  await smtpd.context.logged('disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 bdat=3 quit=1 commands=7');
});

test('recipients beyond smtpd_recipient_limit are put off, and the message goes to the others', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_recipient_limit = 100\nsmtpd_recipient_overshoot_limit = 100000\nsmtpd_error_sleep_time = 0\n',
  });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  await client.say('MAIL FROM:<a@example.com>');
  const total = 100_000;
  for (let from = 0; from < total; from += 1000) {
    client.send(Array.from({ length: 1000 }, (_, at) => `RCPT TO:<user${from + at}@example.org>\r\n`).join(''));
    for (let at = from; at < from + 1000; at++) {
      assert.equal(await client.reply(), at < 100 ? '250 2.1.5 Ok' : '452 4.5.3 Error: too many recipients');
    }
  }
  await client.say('DATA');
  assert.match(await client.say('x\r\n.'), /^250 /);
  assert.equal(smtpd.cleanup.submissions[0]?.request.envelope?.recipients.length, 100);
});

test('recipients beyond the overshoot count as errors', async () => {
  await using smtpd = await startSmtpd({
    mainCf:
      'smtpd_recipient_limit = 1\nsmtpd_recipient_overshoot_limit = 1\nsmtpd_hard_error_limit = 2\nsmtpd_error_sleep_time = 0\n',
  });
  using client = await smtpd.client();
  await client.envelope('a@example.com', 'a@example.org', 'b@example.org', 'c@example.org');
  assert.equal(await client.say('RCPT TO:<d@example.org>'), '452 4.5.3 Error: too many recipients');
  assert.match(await client.reply(), /^421 4\.7\.0 /);
});

test('a client that never reads its replies does not fill the memory', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  client.socket.pause();
  const before = process.memoryUsage().external + process.memoryUsage().heapUsed;
  let sent = 0;
  const chunk = Buffer.from('RSET\r\n'.repeat(10_000));
  while (sent < 300 && client.socket.writableLength < 8 * 1024 * 1024) {
    client.socket.write(chunk);
    sent += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const grown = process.memoryUsage().external + process.memoryUsage().heapUsed - before;
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes`);
});

test('a connection that is reset at once is logged and forgotten', async () => {
  await using smtpd = await startSmtpd();
  for (let at = 0; at < 50; at++) {
    const socket = connect({ port: smtpd.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.resetAndDestroy();
  }
  using client = await smtpd.client();
  assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
});

test('nobody outside gets mail relayed, by whatever form of address', async () => {
  await using smtpd = await startSmtpd({
    mainCf: `${OUTSIDE}smtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 100\n`,
  });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  await client.say('MAIL FROM:<>');
  for (const address of [
    'user@elsewhere.example',
    'user%elsewhere.example@example.org',
    'elsewhere.example!user@example.org',
    '"user@elsewhere.example"@example.org',
    'user@elsewhere.example@example.org',
    '@example.org:user@elsewhere.example',
    'user@[192.0.2.9]',
  ]) {
    const reply = await client.say(`RCPT TO:<${address}>`);
    assert.match(reply, /^(454 4\.7\.1 .*Relay access denied|501 5\.1\.3 )/, address);
  }
  assert.equal(await client.say('RCPT TO:<user@relay.example>'), '250 2.1.5 Ok');
  assert.equal(await client.say('RCPT TO:<user@example.org>'), '250 2.1.5 Ok');
  assert.match(await client.say('RCPT TO:<user@temporary.example>'), /^451 4\.3\.0 /);
});

test('a configuration that would relay for everybody does not start', async () => {
  await assert.rejects(
    startSmtpd({ mainCf: 'smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks\n' }),
    /specify at least one working instance of: reject_unauth_destination/,
  );
});

test('bare newlines are refused where smtpd_forbid_bare_newline = reject', async () => {
  await using smtpd = await startSmtpd({ mainCf: `${OUTSIDE}smtpd_forbid_bare_newline = reject\n` });
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  assert.equal(await client.say('a\nb\r\n.'), '550 5.5.2 mail.example.org Error: bare <LF> received');
  client.send('NOOP\n');
  assert.equal(await client.reply(), '550 5.5.2 mail.example.org Error: bare <LF> received');
  assert.equal(smtpd.cleanup.submissions.length, 0);
});

test('smuggled commands stay content for clients outside of mynetworks', async () => {
  await using smtpd = await startSmtpd({ mainCf: OUTSIDE });
  using client = await smtpd.client();
  await client.envelope();
  await client.say('DATA');
  assert.match(await client.say('a\n.\nMAIL FROM:<x@example.com>\r\n.'), /^250 /);
  assert.equal(smtpd.cleanup.submissions[0]?.content.toString(), 'a\nMAIL FROM:<x@example.com>\n');
});

test('bytes that are not UTF-8 in an address are bad syntax, and UTF-8 passes', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  client.send(Buffer.from('MAIL FROM:<\xff@example.com>\r\n', 'latin1'));
  assert.equal(await client.reply(), '500 5.5.2 Error: bad UTF-8 syntax');
  assert.equal(await client.say('MAIL FROM:<δοκιμή@example.com> SMTPUTF8'), '250 2.1.0 Ok');
  assert.equal(await client.say('RCPT TO:<用户@example.org>'), '250 2.1.5 Ok');
  await client.say('DATA');
  await client.say('x\r\n.');
  const { envelope } = smtpd.cleanup.submissions[0]!.request;
  assert.equal(envelope?.sender, 'δοκιμή@example.com');
  assert.equal(envelope?.recipients[0]?.address, '用户@example.org');
  assert.equal(envelope?.smtputf8, true);
});
