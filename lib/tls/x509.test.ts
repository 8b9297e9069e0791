import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { createAuthority, issueCertificate } from './x509.ts';

const DAY = 86_400_000;
const validity = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + 30 * DAY) };
const authority = createAuthority('a fleet', validity);
const leaf = issueCertificate(authority, ['postfleet', 'other.example'], validity);

test('a certificate says what it was asked to say', () => {
  const [ca, own] = [new X509Certificate(authority.certificate), new X509Certificate(leaf.certificate)];
  assert.equal(ca.ca, true);
  assert.equal(own.ca, false);
  assert.equal(own.subjectAltName, 'DNS:postfleet, DNS:other.example');
  assert.deepEqual(own.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(new Date(own.validTo).getTime(), Math.floor(validity.notAfter.getTime() / 1000) * 1000);
  assert.ok(own.checkIssued(ca));
  assert.ok(own.verify(ca.publicKey));
  assert.ok(own.checkPrivateKey(createPrivateKey(leaf.key)));
});

test('a time from 2050 on is told as one', () => {
  const late = createAuthority('late', { ...validity, notAfter: new Date('2051-02-03T04:05:06Z') });
  assert.equal(new Date(new X509Certificate(late.certificate).validTo).toISOString(), '2051-02-03T04:05:06.000Z');
});

test('serial numbers differ, and are positive', () => {
  const serials = Array.from(
    { length: 50 },
    () => new X509Certificate(createAuthority('x', validity).certificate).serialNumber,
  );
  assert.equal(new Set(serials).size, 50);
  for (const serial of serials) assert.match(serial, /^[4-7]/);
});

/** Connects with the certificate of `client` to a server that trusts `authority`; resolves to what was said, or why not. */
async function shake(client: { certificate: string; key: string }, trusted: string): Promise<string> {
  const server = createServer(
    { cert: leaf.certificate, key: leaf.key, ca: [authority.certificate], requestCert: true, rejectUnauthorized: true },
    (socket) => socket.end('hello'),
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const socket: TLSSocket = connect({
    port,
    host: '127.0.0.1',
    servername: 'postfleet',
    ca: [trusted],
    cert: client.certificate,
    key: client.key,
  });
  try {
    let said = '';
    for await (const chunk of socket) said += chunk;
    return said;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    server.close();
  }
}

const stranger = createAuthority('a fleet', validity);
const situations: readonly [
  situation: string,
  client: { certificate: string; key: string },
  trusted: string,
  expected: RegExp,
][] = [
  ['both of one fleet understand each other', leaf, authority.certificate, /^hello$/],
  [
    'a client of another fleet is refused',
    issueCertificate(stranger, ['postfleet'], validity),
    authority.certificate,
    /^$|ALERT|ECONNRESET/,
  ],
  ['a server of another fleet is refused', leaf, stranger.certificate, /UNABLE_TO_VERIFY|SIGNATURE|SELF_SIGNED/],
  [
    'an expired client is refused',
    issueCertificate(authority, ['postfleet'], { notBefore: new Date(0), notAfter: new Date(DAY) }),
    authority.certificate,
    /^$|ALERT|ECONNRESET/,
  ],
];
for (const [situation, client, trusted, expected] of situations) {
  test(situation, async () => assert.match(await shake(client, trusted), expected));
}
