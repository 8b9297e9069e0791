/** TLS levels against nodemailer's server with a certificate of the test. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { startAgent, statusOf, temporaryDirectory } from '../../test/support/delivery.ts';
import { service } from './main.ts';
import { matchesName } from './tls.ts';

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';
const content = Buffer.from('Subject: test\n\nhello\n');

interface Certificate {
  readonly path: string;
  readonly options: { readonly key: Buffer; readonly cert: Buffer };
}

function selfSigned(folder: string): Certificate {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ignored.example
     -addext subjectAltName=DNS:mx.example,DNS:*.wild.example -keyout ${key} -out ${cert}`.split(/\s+/),
    { stdio: 'ignore' },
  );
  return { path: cert, options: { key: readFileSync(key), cert: readFileSync(cert) } };
}

async function server(options: SMTPServerOptions) {
  const secured: boolean[] = [];
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH'],
    onData(stream, session, done) {
      stream.resume();
      stream.on('end', () => {
        secured.push(session.secure);
        done();
      });
    },
    ...options,
  });
  smtp.on('error', () => undefined);
  smtp.listen(0, '127.0.0.1');
  await once(smtp.server, 'listening');
  const { port } = smtp.server.address() as { port: number };
  return { port, secured, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => smtp.close(() => resolve())) };
}

const SENT = '2.0.0 250 OK: message queued';

test('the level decides how far a certificate is believed', { skip }, async () => {
  await using folder = await temporaryDirectory();
  const certificate = selfSigned(folder.path);
  await using smtp = await server(certificate.options);
  const trusting = `smtp_tls_CAfile = ${certificate.path}`;
  const cases: [string, string, string][] = [
    ['smtp_tls_security_level = may', 'Untrusted', SENT],
    [`smtp_tls_security_level = may\n${trusting}`, 'Trusted', SENT],
    ['smtp_tls_security_level = encrypt', 'Untrusted', SENT],
    ['smtp_tls_security_level = verify', 'Untrusted', '4.7.5 Server certificate not trusted'],
    [`smtp_tls_security_level = verify\n${trusting}`, 'Trusted', '4.7.5 Server certificate not verified'],
    [`smtp_tls_security_level = verify\n${trusting}\nsmtp_tls_verify_cert_match = a.b, MX.example`, 'Verified', SENT],
    [`smtp_tls_security_level = secure\n${trusting}\nsmtp_tls_secure_cert_match = .wild.example`, 'Verified', SENT],
    [`smtp_tls_security_level = secure\n${trusting}`, 'Trusted', '4.7.5 Server certificate not verified'],
  ];
  for (const [mainCf, word, status] of cases) {
    await using agent = await startAgent(service, { mainCf: `smtp_tls_loglevel = 1\n${mainCf}` });
    const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${smtp.port}`, content }, 'a@example.org');
    assert.deepEqual(statusOf(reply), [status], mainCf);
    const expected = `${word} TLS connection established to 127.0.0.1[127.0.0.1]:${smtp.port}: TLSv1.3 with cipher TLS_`;
    assert.ok(agent.lines[0]!.startsWith(expected), agent.lines[0]);
  }
  assert.ok(smtp.secured.every((secure) => secure));
});

test('a handshake that fails: without TLS where that is allowed, else later', { skip }, async () => {
  await using folder = await temporaryDirectory();
  const certificate = selfSigned(folder.path);
  await using smtp = await server({ ...certificate.options, maxVersion: 'TLSv1.2' } as SMTPServerOptions);
  for (const [level, parameter, status] of [
    ['may', 'smtp_tls_protocols', SENT],
    ['encrypt', 'smtp_tls_mandatory_protocols', '4.7.5 Cannot start TLS: handshake failure'],
  ]) {
    await using agent = await startAgent(service, {
      mainCf: `smtp_tls_security_level = ${level}\n${parameter} = >=TLSv1.3`,
    });
    const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${smtp.port}`, content }, 'a@example.org');
    assert.deepEqual(statusOf(reply), [status]);
    assert.match(agent.lines[0]!, /^SSL_connect error to 127\.0\.0\.1/);
  }
  assert.deepEqual(smtp.secured, [false]);
});

test('TLS from the first octet', { skip }, async () => {
  await using folder = await temporaryDirectory();
  await using smtp = await server({ ...selfSigned(folder.path).options, secure: true });
  await using agent = await startAgent(service, {
    mainCf: 'smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes\nsmtp_tls_connection_reuse = yes',
  });
  for (let round = 0; round < 2; round++) {
    const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${smtp.port}`, content }, 'a@example.org');
    assert.deepEqual(statusOf(reply), [SENT]);
  }
  assert.deepEqual(smtp.secured, [true, true]);
  assert.ok(agent.lines[1]!.includes(' conn_use=2,'));
});

test('settings that cannot be are refused at start', async () => {
  for (const [mainCf, message] of [
    ['smtp_tls_security_level = dane', /smtp_tls_security_level = dane: this client knows none, may/],
    ['smtp_tls_CAfile = /nowhere/ca.pem', /smtp_tls_CAfile = \/nowhere\/ca\.pem/],
    ['smtp_tls_protocols = TLSv9', /smtp_tls_protocols: unknown TLS protocol TLSv9/],
    ['smtp_tls_wrappermode = yes', /smtp_tls_wrappermode = yes needs/],
  ] as const) {
    await assert.rejects(startAgent(service, { mainCf }), message);
  }
});

test('names in certificates', () => {
  const cases: [string, string, boolean][] = [
    ['mx.example', 'MX.example', true],
    ['mx.example', 'mx.example.', true],
    ['mx.example', 'other.example', false],
    ['*.example', 'mx.example', true],
    ['*.example', 'a.mx.example', false],
    ['*.example', 'example', false],
    ['mx.example', '.example', true],
    ['example', '.example', false],
    ['badexample', '.example', false],
  ];
  for (const [name, pattern, matches] of cases) assert.equal(matchesName(name, pattern), matches, `${name} ${pattern}`);
});
