/** What settings and proxies change in a session. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import test from 'node:test';
import type { CountRequest, Queue } from '../../lib/clients/protocols.ts';
import { startSmtpd, TestClient } from './smtpd-for-tests.ts';

const PROXY =
  'smtpd_upstream_proxy_protocol = haproxy\nsmtpd_peername_lookup = no\nsmtpd_client_connection_count_limit = 0\n';

test('the client behind a proxy is the one that the PROXY header names, text or binary', async () => {
  const binary = Buffer.concat([
    Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
    Buffer.from([0x21, 0x11, 0, 12, 192, 0, 2, 7, 127, 0, 0, 1, 0x30, 0x39, 0, 25]),
  ]);
  for (const header of [Buffer.from('PROXY TCP4 192.0.2.7 127.0.0.1 12345 25\r\n'), binary]) {
    await using smtpd = await startSmtpd({ mainCf: PROXY });
    using client = new TestClient(connect({ port: smtpd.port, host: '127.0.0.1' }));
    for (const byte of header) client.send(Buffer.of(byte));
    assert.match(await client.reply(), /^220 /);
    await smtpd.context.logged('connect from unknown[192.0.2.7]');
    await client.envelope();
    assert.match(await client.say('RCPT TO:<user@elsewhere.example>'), /^454 4\.7\.1 /);
  }
});

test('a connection without the PROXY header that was promised ends', async () => {
  await using smtpd = await startSmtpd({ mainCf: PROXY, warnings: ['haproxy read: short protocol header'] });
  using client = new TestClient(connect({ port: smtpd.port, host: '127.0.0.1' }));
  client.send('EHLO client.example.com\r\n');
  assert.equal(await client.end(), '');
});

test('refusals carry smtpd_reject_footer', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_reject_footer = \\c. Call +1 555 about $client_address\n',
  });
  using client = await smtpd.client();
  assert.equal(await client.say('FOO'), '500 5.5.2 Error: command not recognized. Call +1 555 about 127.0.0.1');
  assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
});

test('EHLO keywords are kept from whom smtpd_discard_ehlo_keyword_address_maps names', async () => {
  await using smtpd = await startSmtpd({
    mainCf:
      'smtpd_discard_ehlo_keyword_address_maps = inline:{127.0.0.1=dsn}\nsmtpd_discard_ehlo_keywords = chunking, silent-discard\n',
  });
  using client = await smtpd.client();
  const ehlo = await client.say('EHLO client.example.com');
  assert.ok(!ehlo.includes('DSN') && ehlo.includes('CHUNKING'));
  assert.equal(await client.say('MAIL FROM:<a@example.com> RET=FULL'), '501 5.7.1 DSN support is disabled');
});

test('with smtpd_per_request_deadline a client that drips is cut off', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_per_request_deadline = yes\nsmtpd_timeout = 1\n' });
  using client = await smtpd.client();
  const drip = setInterval(() => client.send('N'), 100);
  try {
    assert.equal(await client.reply(), '421 4.4.2 mail.example.org Error: timeout exceeded');
  } finally {
    clearInterval(drip);
  }
});

test('XCLIENT makes another client of the session, for hosts that may', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_authorized_xclient_hosts = 127.0.0.1\n' });
  using client = await smtpd.client();
  assert.match(await client.say('EHLO proxy.example.org'), /XCLIENT NAME ADDR/);
  assert.match(await client.say('XCLIENT NAME=client.example.com ADDR=192.0.2.9 HELO=client'), /^220 /);
  assert.match(await client.say('EHLO client.example.com'), /^(?!.*XCLIENT)/s);
  await client.say('MAIL FROM:<a@example.com>');
  assert.match(await client.say('RCPT TO:<user@elsewhere.example>'), /^454 4\.7\.1 /);
  await smtpd.context.logged(
    'reject: RCPT from client.example.com[192.0.2.9]: 454 4.7.1 <user@elsewhere.example>: Relay access denied',
  );
});

const dialogues: readonly [situation: string, mainCf: string, commands: readonly string[], reply: RegExp][] = [
  ['XCLIENT with a name that is none', '', ['XCLIENT NAME=a..b'], /^501 5\.5\.4 Bad NAME syntax: a\.\.b$/],
  ['XCLIENT with a name that is an address', '', ['XCLIENT NAME=192.0.2.1'], /^501 5\.5\.4 Bad NAME syntax: 192/],
  ['XCLIENT with an address that is none', '', ['XCLIENT ADDR=10.2.3'], /^501 5\.5\.4 Bad ADDR syntax: 10\.2\.3$/],
  ['XCLIENT with IPv6 that does not say so', '', ['XCLIENT ADDR=2001:db8::1'], /^501 5\.5\.4 Bad ADDR syntax: 2001/],
  ['XCLIENT with another protocol', '', ['XCLIENT PROTO=HTTP'], /^501 5\.5\.4 Bad PROTO syntax: HTTP$/],
  ['XCLIENT with a port that is none', '', ['XCLIENT PORT=smtp'], /^501 5\.5\.4 Bad PORT syntax: smtp$/],
  ['XCLIENT without a value', '', ['XCLIENT NAME='], /^501 5\.5\.4 Error: attribute=value expected$/],
  ['XCLIENT with no address', '', ['XCLIENT ADDR=[UNAVAILABLE]'], /^220 /],
  ['VRFY says what it was asked', '', ['VRFY <user@example.org>'], /^252 2\.0\.0 <user@example\.org>$/],
  ['SIZE without a value', '', ['MAIL FROM:<> SIZE'], /^555 5\.5\.4 Unsupported option: SIZE$/],
  ['NOTIFY without a value', '', ['MAIL FROM:<>', 'RCPT TO:<user@example.org> NOTIFY'], /^555 5\.5\.4 /],
  ['SIZE that is not announced', 'smtpd_discard_ehlo_keywords = size\n', ['MAIL FROM:<> SIZE=1'], /^250 /],
  ['ETRN that is not announced', 'smtpd_discard_ehlo_keywords = etrn\n', ['ETRN'], /^500 Syntax: ETRN domain$/],
  ['DATA before all else', '', ['DATA at once'], /^503 5\.5\.1 /],
  ['a domain in UTF-8 without SMTPUTF8', '', ['MAIL FROM:<a@bücher.example>'], /^501 5\.1\.7 /],
  ['a domain in UTF-8 with SMTPUTF8', '', ['MAIL FROM:<a@bücher.example> SMTPUTF8'], /^250 /],
  [
    'a HELO that is refused leaves the mail transaction alone',
    'smtpd_delay_reject = no\nsmtpd_helo_restrictions = reject_invalid_helo_hostname\n',
    ['MAIL FROM:<>', 'HELO a..b', 'RCPT TO:<user@example.org>'],
    /^250 2\.1\.5 /,
  ],
  [
    'a deferral of one sender is none of the next',
    'smtpd_delay_reject = no\nsmtpd_sender_restrictions = check_sender_access inline:{{a@=DEFER_IF_PERMIT}}\n',
    ['MAIL FROM:<a@example.com>', 'RSET', 'MAIL FROM:<b@example.com>', 'RCPT TO:<user@example.org>'],
    /^250 2\.1\.5 /,
  ],
  [
    'the only recipient is known at DATA',
    'smtpd_data_restrictions = check_recipient_access inline:{{user@=REJECT}}\n',
    ['MAIL FROM:<>', 'RCPT TO:<user@example.org>', 'DATA'],
    /^554 5\.7\.1 <user@example\.org>: Recipient address rejected/,
  ],
  [
    'one of several recipients is not known at DATA',
    'smtpd_data_restrictions = check_recipient_access inline:{{user@=REJECT}}\n',
    ['MAIL FROM:<>', 'RCPT TO:<other@example.org>', 'RCPT TO:<user@example.org>', 'DATA'],
    /^354 /,
  ],
  [
    'a recipient with a route is not let in by the table that has its last domain',
    'smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = check_recipient_access inline:{{relay.example=OK}}, reject_unauth_destination\n',
    ['MAIL FROM:<>', 'RCPT TO:<user%elsewhere@relay.example>'],
    /^554 5\.7\.1 <user%elsewhere@relay\.example>: Relay access denied$/,
  ],
  [
    'such a recipient where routes are trusted',
    'allow_untrusted_routing = yes\nsmtpd_relay_restrictions =\nsmtpd_recipient_restrictions = check_recipient_access inline:{{relay.example=OK}}, reject_unauth_destination\n',
    ['MAIL FROM:<>', 'RCPT TO:<user%elsewhere@relay.example>'],
    /^250 2\.1\.5 /,
  ],
  [
    'an address as HELO name has no domain above it',
    'smtpd_helo_restrictions = check_helo_access inline:{{10=REJECT}}\n',
    ['EHLO 192.0.2.10', 'MAIL FROM:<>', 'RCPT TO:<user@example.org>'],
    /^250 2\.1\.5 /,
  ],
  ['a command filter that cannot be asked', 'smtpd_command_filter = fail:x\n', ['NOOP'], /^421 4\.3\.0 /],
  ['VRFY before HELO', 'smtpd_helo_required = yes\n', ['VRFY user@example.org'], /^252 /],
  ['ETRN before HELO', 'smtpd_helo_required = yes\n', ['ETRN example.org'], /^503 Error: send HELO/],
  [
    'characters of HELO names that could do harm',
    'smtpd_recipient_restrictions = reject_invalid_helo_hostname, reject_unauth_destination\n',
    ['EHLO a;b@c', 'MAIL FROM:<>', 'RCPT TO:<user@example.org>'],
    /^501 5\.5\.2 <a\?b\?c>: Helo command rejected: Invalid name$/,
  ],
];

for (const [situation, mainCf, commands, expected] of dialogues) {
  test(`replies: ${situation}`, async () => {
    await using smtpd = await startSmtpd({
      mainCf: `smtpd_authorized_xclient_hosts = 127.0.0.1\n${mainCf}`,
      warnings: ['Illegal address syntax', 'fail:x lookup error'],
    });
    using client = await smtpd.client();
    let reply = '';
    for (const command of commands) reply = await client.say(command);
    assert.match(reply, expected);
  });
}

test('HELO after EHLO leaves the protocol what it was', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_authorized_xclient_hosts = 127.0.0.1\n' });
  using client = await smtpd.client();
  await client.say('XCLIENT ADDR=192.0.2.9');
  for (const command of ['EHLO a', 'HELO b', 'MAIL FROM:<>', 'RCPT TO:<a@elsewhere.example>'])
    await client.say(command);
  await smtpd.context.logged('proto=ESMTP helo=<b>');
});

test('a login that XCLIENT tells of is logged with that method', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'smtpd_authorized_xclient_hosts = 127.0.0.1\n' });
  using client = await smtpd.client();
  await client.say('XCLIENT LOGIN=somebody');
  await client.envelope();
  await smtpd.context.logged('sasl_method=XCLIENT, sasl_username=somebody');
});

test('ETRN flushes the queue for a site', async () => {
  const sites: string[] = [];
  const queue = {
    flush: async ({ site }: { site: string }) => {
      sites.push(site);
      return { count: 1 };
    },
  } as unknown as Queue;
  await using smtpd = await startSmtpd({
    mainCf: 'fast_flush_domains = example.org\n',
    clients: { queue: () => queue },
  });
  using client = await smtpd.client();
  assert.equal(await client.say('ETRN example.org'), '250 Queuing started');
  assert.equal(await client.say('ETRN example.net'), '459 <example.net>: service unavailable');
  assert.equal(await client.say('ETRN bad..name'), '501 Error: invalid parameter syntax');
  assert.deepEqual(sites, ['example.org']);
});

test('clients are counted by anvil and turned away at their limits', async () => {
  const asked: string[] = [];
  const anvil = {
    count: async (requests: CountRequest[]) =>
      requests.map(({ event, ident }) => {
        asked.push(`${event} ${ident}`);
        return { count: event === 'connect' ? asked.length : 1, rate: event === 'message' ? 3 : 1 };
      }),
  };
  await using smtpd = await startSmtpd({
    mainCf:
      'smtpd_client_event_limit_exceptions =\nsmtpd_client_connection_count_limit = 2\nsmtpd_client_message_rate_limit = 2\n',
    clients: { anvil: () => anvil },
    warnings: ['Message delivery request rate limit exceeded: 3', 'Connection concurrency limit exceeded'],
  });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  assert.equal(await client.say('MAIL FROM:<a@example.com>'), '450 4.7.1 Error: too much mail from 127.0.0.1');
  using other = new TestClient(connect({ port: smtpd.port, host: '127.0.0.1' }));
  assert.equal(await other.reply(), '421 4.7.0 mail.example.org Error: too many connections from 127.0.0.1');
  assert.deepEqual(asked.slice(0, 3), [
    'connect smtpd:127.0.0.1',
    'message smtpd:127.0.0.1',
    'connect smtpd:127.0.0.1',
  ]);
});

test('without anvil, sessions go on with a warning', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_client_event_limit_exceptions =\n',
    warnings: ['problem talking to service anvil: the test has no anvil'],
  });
  using client = await smtpd.client();
  assert.equal(await client.say('NOOP'), '250 2.0.0 Ok');
});

const QUEUE_PLACES: readonly [string, string][] = [
  ['queue_directory', 'queue_directory = /'],
  ['the state directory, queue_directory being left out', 'postfleet_state_directory = /'],
  ['the state directory, queue_directory being none', 'postfleet_state_directory = /\nqueue_directory = /proc/none'],
];
for (const [place, mainCf] of QUEUE_PLACES) {
  test(`a queue file system without room is told at MAIL (${place})`, async () => {
    await using smtpd = await startSmtpd({
      mainCf: `${mainCf}\nqueue_minfree = 900000000000000\n`,
      warnings: ['not enough free space in mail queue'],
    });
    using client = await smtpd.client();
    await client.say('EHLO client.example.com');
    assert.equal(await client.say('MAIL FROM:<a@example.com>'), '452 4.3.1 Insufficient system storage');
  });
}

test('a queue on another machine is not asked for its free space here', async () => {
  await using smtpd = await startSmtpd({ mainCf: 'queue_directory = /proc/none\nqueue_minfree = 900000000000000\n' });
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  assert.match(await client.say('MAIL FROM:<a@example.com>'), /^250 /);
});

test('smtpd_helo_required and strict_rfc821_envelopes are held to', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_helo_required = yes\nstrict_rfc821_envelopes = yes\n',
    warnings: ['Illegal address syntax', 'fail:x lookup error'],
  });
  using client = await smtpd.client();
  assert.equal(await client.say('MAIL FROM:<a@example.com>'), '503 5.5.1 Error: send HELO/EHLO first');
  await client.say('HELO client.example.com');
  assert.equal(await client.say('MAIL FROM:a@example.com'), '501 5.1.7 Bad sender address syntax');
});

const ACTIONS = `smtpd_recipient_restrictions = check_recipient_access inline:{
  {hold@example.org = HOLD}
  {filter@example.org = FILTER smtp:[filter.example]:10025}
  {redirect@example.org = REDIRECT other@example.org}
  {bcc@example.org = BCC copy@example.org}
  {prepend@example.org = PREPEND X-Seen: yes}
  {discard@example.org = DISCARD}
  {later@example.org = DEFER_IF_PERMIT 4.7.9 later}
  {bye@example.org = 521 5.7.9 go away}
 }
`;

test('access tables hold, filter, redirect, copy, mark and discard messages', async () => {
  await using smtpd = await startSmtpd({ mainCf: ACTIONS });
  using client = await smtpd.client();
  for (const action of ['hold', 'filter', 'redirect', 'bcc', 'prepend', 'discard']) {
    await client.envelope('a@example.com', `${action}@example.org`);
    await client.say('DATA');
    assert.match(await client.say('Subject: x\r\n\r\nx\r\n.'), /^250 2\.0\.0 Ok: queued as /);
  }
  const [hold, filter, redirect, bcc, prepend, discard] = smtpd.cleanup.submissions;
  const recipients = (of = hold) => of?.request.envelope?.recipients.map(({ address }) => address);
  assert.equal(hold?.request.envelope?.hold, true);
  assert.equal(filter?.request.envelope?.filter, 'smtp:[filter.example]:10025');
  assert.equal(filter?.request.envelope?.hold, false);
  assert.deepEqual(recipients(redirect), ['other@example.org']);
  assert.deepEqual(recipients(bcc), ['bcc@example.org', 'copy@example.org']);
  assert.equal(prepend?.content.toString(), 'X-Seen: yes\nSubject: x\n\nx\n');
  assert.equal(discard, undefined);
  await client.envelope('a@example.com', 'later@example.org');
  assert.equal(await client.say('DATA'), '554 5.5.1 Error: no valid recipients');
  assert.equal(
    await client.say('RCPT TO:<bye@example.org>'),
    '521 5.7.9 <bye@example.org>: Recipient address rejected: go away',
  );
  await client.end();
});

test('what an access table asks for with a sender that is refused is not done with the mail of the next', async () => {
  await using smtpd = await startSmtpd({
    mainCf:
      'smtpd_delay_reject = no\nsmtpd_sender_restrictions = check_sender_access inline:{{a@=HOLD}}, check_sender_access inline:{{a@=REJECT}}\n',
  });
  using client = await smtpd.client();
  assert.match(await client.say('MAIL FROM:<a@example.com>'), /^554 /);
  await client.envelope('b@example.com', 'user@example.org');
  await client.say('DATA');
  assert.match(await client.say('Subject: x\r\n\r\nx\r\n.'), /^250 /);
  assert.equal(smtpd.cleanup.submissions[0]?.request.envelope?.hold, false);
});

test('commands may still be sent together when a HELO comes behind an EHLO', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  await client.say('EHLO client.example.com');
  await client.say('HELO client.example.com');
  client.send('MAIL FROM:<a@example.com>\r\nRCPT TO:<user@example.org>\r\n');
  assert.match(await client.reply(), /^250 2\.1\.0 /);
  assert.match(await client.reply(), /^250 2\.1\.5 /);
});

for (const [sent, kept] of [
  [' x; pass\r\n', '\n x; pass\n'],
  ['From x\r\nSubject: y\r\n', 'X-Mailbox-Line: From x\nSubject: y\n'],
  ['From: x\r\n', 'From: x\n'],
] as const) {
  test(`prepended headers stay apart from content that begins with ${JSON.stringify(sent)}`, async () => {
    await using smtpd = await startSmtpd({ mainCf: ACTIONS });
    using client = await smtpd.client();
    await client.envelope('a@example.com', 'prepend@example.org');
    await client.say('DATA');
    assert.match(await client.say(`${sent}.`), /^250 /);
    await client.envelope('a@example.com', 'prepend@example.org');
    assert.match(await client.say(`BDAT ${sent.length} LAST\r\n${sent}`.slice(0, -2)), /^250 /);
    assert.deepEqual(
      smtpd.cleanup.submissions.map(({ content }) => content.toString()),
      [`X-Seen: yes\n${kept}`, `X-Seen: yes\n${kept}`],
    );
  });
}

test('addresses are resolved once a second, however many messages there are', async () => {
  await using smtpd = await startSmtpd({
    mainCf: 'mynetworks = 192.0.2.0/24\nsmtpd_client_connection_count_limit = 0\n',
  });
  using client = await smtpd.client();
  for (let at = 0; at < 50; at++) {
    await client.envelope();
    await client.say('DATA');
    await client.say('x\r\n.');
  }
  assert.equal(smtpd.cleanup.submissions.length, 50);
  assert.ok(smtpd.rewrite.asked < 10, `${smtpd.rewrite.asked} requests`);
});
