/** Logins at nodemailer's server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: test\n\nhello\n');
const SENT = '2.0.0 250 OK: message queued';
const ENABLED = 'smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{127.0.0.1=user:pass:word}';
const PLAINTEXT = 'smtp_sasl_security_options = noanonymous';

async function server(options: SMTPServerOptions = {}) {
  const logins: string[] = [];
  const smtp = new SMTPServer({
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    onAuth(auth, _session, done) {
      logins.push(`${auth.method} ${auth.username}`);
      const right = auth.method === 'CRAM-MD5' ? auth.validatePassword('pass:word') : auth.password === 'pass:word';
      if (right) done(null, { user: auth.username! });
      else done(new Error('bad login'));
    },
    onData(stream, _session, done) {
      stream.resume();
      stream.on('end', () => done());
    },
    ...options,
  });
  smtp.on('error', () => undefined);
  smtp.listen(0, '127.0.0.1');
  await once(smtp.server, 'listening');
  const { port } = smtp.server.address() as { port: number };
  return { port, logins, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => smtp.close(() => resolve())) };
}

async function deliver(port: number, mainCf: string): Promise<string> {
  await using agent = await startAgent(service, { mainCf });
  const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${port}`, content }, 'a@example.org');
  assert.ok(!agent.lines.join().includes('pass:word'));
  return statusOf(reply)[0]!;
}

test('each mechanism opens the door', async () => {
  for (const method of ['CRAM-MD5', 'PLAIN', 'LOGIN']) {
    await using smtp = await server({ authMethods: [method] });
    assert.equal(await deliver(smtp.port, `${ENABLED}\n${PLAINTEXT}`), SENT);
    assert.deepEqual(smtp.logins, [`${method} user`]);
  }
});

test('the password does not go in the clear unless it may', async () => {
  await using smtp = await server({ authMethods: ['PLAIN', 'LOGIN'] });
  assert.match(
    await deliver(smtp.port, ENABLED),
    /^4\.7\.0 SASL authentication failed; .* offered no compatible authentication mechanisms/,
  );
  assert.deepEqual(smtp.logins, []);
  await using strong = await server({ authMethods: ['PLAIN', 'CRAM-MD5'] });
  assert.equal(await deliver(strong.port, ENABLED), SENT);
  assert.deepEqual(strong.logins, ['CRAM-MD5 user']);
});

test('credentials are found by server, by nexthop and by sender; without them mail goes without a login', async () => {
  await using smtp = await server({ authOptional: true });
  const cases: [string, string | undefined][] = [
    ['{127.0.0.1=byhost:pass:word}', 'byhost'],
    [`{{[127.0.0.1]:${smtp.port} = bynexthop:pass:word}}`, 'bynexthop'],
    ['{sender@example.com=bysender:pass:word}', undefined],
    ['{sender@example.com=bysender:pass:word}\nsmtp_sender_dependent_authentication = yes', 'bysender'],
    ['{other=x:y}', undefined],
  ];
  for (const [table, user] of cases) {
    smtp.logins.length = 0;
    const mainCf = `smtp_sasl_auth_enable = yes\n${PLAINTEXT}\nsmtp_sasl_password_maps = inline:${table}`;
    assert.equal(await deliver(smtp.port, mainCf), SENT, table);
    assert.deepEqual(
      smtp.logins.map((login) => login.split(' ')[1]),
      user === undefined ? [] : [user],
      table,
    );
  }
});

test('a login that is refused defers, or bounces where that is wanted', async () => {
  await using smtp = await server();
  const wrong = `smtp_sasl_auth_enable = yes\n${PLAINTEXT}\nsmtp_sasl_password_maps = inline:{127.0.0.1=user:wrong}`;
  assert.match(
    await deliver(smtp.port, wrong),
    /^4\.\d\.\d SASL authentication failed; server 127\.0\.0\.1\[127\.0\.0\.1\] said: 535 /,
  );
  assert.match(await deliver(smtp.port, `${wrong}\nsmtp_sasl_auth_soft_bounce = no`), /^5\.\d\.\d SASL /);
});

test('a table that does not answer defers', async () => {
  await using smtp = await server();
  const mainCf = 'smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = fail:now';
  assert.match(
    await deliver(smtp.port, mainCf),
    /^4\.3\.0 SASL authentication failed: smtp_sasl_password_maps lookup failure$/,
  );
});

test('the filter names the mechanisms that count', async () => {
  await using smtp = await server({ authMethods: ['CRAM-MD5', 'PLAIN', 'LOGIN'] });
  for (const [filter, method] of [
    ['plain, login', 'PLAIN'],
    ['!cram-md5, static:all', 'PLAIN'],
    ['login', 'LOGIN'],
  ]) {
    smtp.logins.length = 0;
    assert.equal(await deliver(smtp.port, `${ENABLED}\n${PLAINTEXT}\nsmtp_sasl_mechanism_filter = ${filter}`), SENT);
    assert.deepEqual(smtp.logins, [`${method} user`]);
  }
});
