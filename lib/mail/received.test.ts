import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protocolName, receivedHeader } from './received.ts';

const common = {
  myhostname: 'mail.example.com',
  mailName: 'Postfix',
  queueId: '84DF2984113',
  date: 'Sun, 22 Nov 2026 14:37:14 +0000 (UTC)',
};
const client = { helo: 'x?y?z', name: 'localhost', address: '127.0.0.1' };

test('a message for one recipient names it', () => {
  assert.equal(
    receivedHeader({ ...common, client, protocol: 'ESMTP', recipient: 'c d@d.com' }),
    'Received: from x?y?z (localhost [127.0.0.1])\n' +
      '\tby mail.example.com (Postfix) with ESMTP id 84DF2984113\n' +
      '\tfor <"c d"@d.com>; Sun, 22 Nov 2026 14:37:14 +0000 (UTC)',
  );
});

test('a message for several recipients names none', () => {
  assert.equal(
    receivedHeader({ ...common, client, protocol: 'ESMTP' }),
    'Received: from x?y?z (localhost [127.0.0.1])\n' +
      '\tby mail.example.com (Postfix) with ESMTP id 84DF2984113;\n' +
      '\tSun, 22 Nov 2026 14:37:14 +0000 (UTC)',
  );
});

test('a local submission shows the user, and mail of our own nobody', () => {
  assert.equal(
    receivedHeader({ ...common, userId: 0 }),
    'Received: by mail.example.com (Postfix, from userid 0)\n' +
      '\tid 84DF2984113; Sun, 22 Nov 2026 14:37:14 +0000 (UTC)',
  );
  assert.equal(
    receivedHeader(common),
    'Received: by mail.example.com (Postfix)\n\tid 84DF2984113; Sun, 22 Nov 2026 14:37:14 +0000 (UTC)',
  );
});

test('TLS and the login name stand between client and server', () => {
  const tls = {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    usedBits: 256,
    algorithmBits: 256,
    keyExchange: 'X25519',
    serverSignature: 'RSA-PSS (2048 bits)',
    serverDigest: 'SHA256',
    clientCertificate: { kind: 'not-requested' },
  } as const;
  const header = receivedHeader({ ...common, client, tls, saslUser: 'me', protocol: 'ESMTPSA', recipient: 'a@b' });
  assert.deepEqual(header.split('\n').slice(1, 6), [
    '\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)',
    '\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)',
    '\t(No client certificate requested)',
    '\t(Authenticated sender: me)',
    '\tby mail.example.com (Postfix) with ESMTPSA id 84DF2984113',
  ]);
});

test('no text of a client can begin a line or close a comment', () => {
  const helo = 'evil\r\nX-Header: (1)';
  const header = receivedHeader({ ...common, client: { ...client, helo }, protocol: 'SMTP', recipient: 'a\nb@c' });
  assert.equal(header.split('\n').length, 3);
  assert.ok(header.startsWith('Received: from evil??X-Header: ?1? (localhost'));
});

test('the protocol tells TLS and authentication apart', () => {
  const name = (esmtp: boolean, tls: boolean, sasl: boolean, smtputf8 = false): string =>
    protocolName({ esmtp, tls, sasl, smtputf8 });
  assert.deepEqual(
    [name(false, false, false), name(true, false, false), name(true, true, false), name(true, true, true)],
    ['SMTP', 'ESMTP', 'ESMTPS', 'ESMTPSA'],
  );
  assert.equal(name(true, true, false, true), 'UTF8SMTPS');
});
