import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { cipherList, parseProtocols } from './protocols.ts';

test('protocol lists', () => {
  const cases: [string, string, string][] = [
    ['', 'TLSv1', 'TLSv1.3'],
    ['>=TLSv1', 'TLSv1', 'TLSv1.3'],
    ['>=TLSv1.2', 'TLSv1.2', 'TLSv1.3'],
    ['>=SSLv3', 'TLSv1', 'TLSv1.3'],
    ['<=tlsv1.2', 'TLSv1', 'TLSv1.2'],
    ['>=TLSv1.1 <=TLSv1.2', 'TLSv1.1', 'TLSv1.2'],
    ['!SSLv2 !SSLv3 !TLSv1', 'TLSv1.1', 'TLSv1.3'],
    ['TLSv1.2:TLSv1.3', 'TLSv1.2', 'TLSv1.3'],
    ['TLSv1.2', 'TLSv1.2', 'TLSv1.2'],
  ];
  for (const [text, minVersion, maxVersion] of cases) {
    assert.deepEqual(parseProtocols(text.split(' '), 'p'), { minVersion, maxVersion }, text);
  }
  assert.throws(
    () => parseProtocols(['TLSv2'], 'smtp_tls_protocols'),
    /smtp_tls_protocols: unknown TLS protocol TLSv2/,
  );
  assert.throws(() => parseProtocols(['SSLv3'], 'p'), /no TLS protocol is left/);
});

test('a cipher list is one that OpenSSL takes', () => {
  const list = cipherList('aNULL:-aNULL:HIGH:MEDIUM:!SEED:!RC4:+RC4:@STRENGTH', ['3DES', 'MD5']);
  assert.ok(list.endsWith(':!3DES:!MD5:@SECLEVEL=0'));
  createSecureContext({ ciphers: list });
});
