/** Delivery to SMTP and LMTP servers of other makers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { smtpSink, withoutSmtpSink } from '../../test/support/smtp-sink.ts';
import { lmtp, service } from './main.ts';

const content = Buffer.concat([
  Buffer.from('Subject: =?utf-8?q?t=C3=A4st?=\n\nGr\u00fc\u00dfe\n.\n..dots\n', 'utf8'),
  Buffer.from([0xff, 0xfe, 0x80, 10]),
  Buffer.from('last line'),
]);

interface Kept {
  readonly from: string;
  readonly to: string[];
  readonly data: Buffer;
  readonly secure: boolean;
  readonly size: string | undefined;
}

/** nodemailer's server on a free port, and what it has been given. */
async function nodemailerServer(options: SMTPServerOptions = {}) {
  const kept: Kept[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH'],
    onData(stream, session, done) {
      const pieces: Buffer[] = [];
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        kept.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          data: Buffer.concat(pieces),
          secure: session.secure,
          size:
            mailFrom === false
              ? undefined
              : String((mailFrom.args as { SIZE?: string } | false) && (mailFrom.args as { SIZE?: string }).SIZE),
        });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as { port: number };
  return {
    kept,
    port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

function withCrLf(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  return `${text.replaceAll('\n', '\r\n')}${text.endsWith('\n') ? '' : '\r\n'}`;
}

for (const level of ['none', 'may', 'encrypt']) {
  test(`bytes arrive as they are at nodemailer's server, with smtp_tls_security_level = ${level}`, async () => {
    await using server = await nodemailerServer();
    await using agent = await startAgent(service, { mainCf: `smtp_tls_security_level = ${level}` });
    const nexthop = `[127.0.0.1]:${server.port}`;
    const reply = await agent.deliver({ nexthop, content, encoding: '8bit' }, 'a@example.org', 'b@example.org');
    assert.deepEqual(
      reply.recipients.map(({ status }) => status),
      [DeliveryStatus.SENT, DeliveryStatus.SENT],
      statusOf(reply).join(),
    );
    const [message] = server.kept;
    assert.equal(message!.data.toString('latin1'), withCrLf(content));
    assert.equal(message!.from, 'sender@example.com');
    assert.deepEqual(message!.to, ['a@example.org', 'b@example.org']);
    assert.equal(message!.secure, level !== 'none');
  });
}

test('a null sender, and a message larger than the server takes', async () => {
  await using server = await nodemailerServer({ size: 1000 });
  await using agent = await startAgent(service, { mainCf: '' });
  const nexthop = `[127.0.0.1]:${server.port}`;
  const sent = await agent.deliver({ nexthop, content, sender: '' }, 'a@example.org');
  assert.equal(sent.recipients[0]!.status, DeliveryStatus.SENT);
  const large = Buffer.alloc(2000, 'x');
  const refused = await agent.deliver({ nexthop, content: large }, 'a@example.org');
  assert.deepEqual(statusOf(refused), [
    '5.3.4 message size 2000 exceeds size limit 1000 of server 127.0.0.1[127.0.0.1]',
  ]);
});

test('TLS that is required and not offered', async () => {
  await using server = await nodemailerServer({ disabledCommands: ['AUTH', 'STARTTLS'] });
  await using agent = await startAgent(service, { mainCf: 'smtp_tls_security_level = encrypt' });
  const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content }, 'a@example.org');
  assert.deepEqual(statusOf(reply), ['4.7.4 TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]']);
});

test('SMTPUTF8 that is required and not offered', async () => {
  await using server = await nodemailerServer({ hideSMTPUTF8: true } as SMTPServerOptions);
  await using agent = await startAgent(service, { mainCf: '' });
  const request = { nexthop: `[127.0.0.1]:${server.port}`, content, smtputf8: true };
  assert.deepEqual(statusOf(await agent.deliver(request, 'gr\u00fc\u00dfe@example.org')), [
    '5.6.7 SMTPUTF8 is required, but was not offered by host 127.0.0.1[127.0.0.1]',
  ]);
  const ascii = await agent.deliver(request, 'a@example.org');
  assert.equal(ascii.recipients[0]!.status, DeliveryStatus.SENT);
});

test('an address in UTF-8 arrives as it is', async () => {
  await using server = await nodemailerServer();
  await using agent = await startAgent(service, { mainCf: '' });
  const request = { nexthop: `[127.0.0.1]:${server.port}`, content, smtputf8: true };
  await agent.deliver(request, 'gr\u00fc\u00dfe@example.org');
  assert.deepEqual(server.kept[0]!.to, ['gr\u00fc\u00dfe@example.org']);
});

test('content by reference is sent piece by piece', async () => {
  await using server = await nodemailerServer();
  await using agent = await startAgent(service, { mainCf: '' });
  const long = Buffer.from(`Subject: long\n\n${'0123456789'.repeat(7)}\n`.repeat(20_000));
  const nexthop = `[127.0.0.1]:${server.port}`;
  const reply = await agent.deliver({ nexthop, content: long }, 'a@example.org');
  assert.equal(reply.recipients[0]!.status, DeliveryStatus.SENT);
  assert.equal(server.kept[0]!.data.toString('latin1'), withCrLf(long));
});

test('many deliveries at once to smtp-sink: all arrive, over as many connections as were needed', {
  skip: withoutSmtpSink,
}, async () => {
  await using server = await smtpSink();
  await using agent = await startAgent(service, { mainCf: '' });
  const nexthop = `[127.0.0.1]:${server.port}`;
  const total = 200;
  let left = total;
  const worker = async () => {
    while (left > 0) {
      const number = left--;
      const reply = await agent.deliver({ nexthop, content }, `user${number}@example.org`);
      assert.equal(reply.recipients[0]!.status, DeliveryStatus.SENT, statusOf(reply).join());
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  const text = server.text();
  for (let number = 1; number <= total; number++) assert.ok(text.includes(`<user${number}@example.org>`), `${number}`);
  const connections = new Set(text.match(/^X-Client-Port: .*$/gm) ?? []);
  assert.ok(agent.lines.filter((line) => line.includes(' conn_use=')).length >= total - 10);
  assert.ok(connections.size <= 10);
});

for (const [name, options] of [
  ['with PIPELINING', []],
  ['without PIPELINING', ['-p']],
  ['with HELO alone', ['-E']],
] as const) {
  test(`LMTP and SMTP to smtp-sink ${name}`, { skip: withoutSmtpSink }, async () => {
    for (const [definition, protocol] of [
      [service, []],
      [lmtp, ['-L']],
    ] as const) {
      if (definition === lmtp && options.includes('-E' as never)) continue;
      await using server = await smtpSink(...options, ...protocol);
      await using agent = await startAgent(definition, { mainCf: '' });
      const nexthop = definition === lmtp ? `inet:127.0.0.1:${server.port}` : `[127.0.0.1]:${server.port}`;
      for (let round = 0; round < 2; round++) {
        const reply = await agent.deliver({ nexthop, content }, 'a@example.org', 'b@example.org');
        assert.deepEqual(
          reply.recipients.map(({ status }) => status),
          [DeliveryStatus.SENT, DeliveryStatus.SENT],
          statusOf(reply).join(),
        );
      }
    }
  });
}

test('smtp-sink refuses recipients for good and for the time being', { skip: withoutSmtpSink }, async () => {
  for (const [option, status] of [
    ['-r', DeliveryStatus.DEFERRED],
    ['-f', DeliveryStatus.BOUNCED],
  ] as const) {
    await using server = await smtpSink(option, 'RCPT');
    await using agent = await startAgent(service, { mainCf: '' });
    const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content }, 'a@example.org');
    assert.equal(reply.recipients[0]!.status, status, statusOf(reply).join());
  }
});
