import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import {
  authorityData,
  certificateData,
  type FleetCertificates,
  readCertificates,
  renew,
} from './fleet-certificates.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const NOTHING: FleetCertificates = { authorities: [], certificate: undefined };
const first = renew(NOTHING, 'post/mail', START);

/** Does anybody who trusts what `pods` were given accept what `peer` shows? */
function trusts(pods: FleetCertificates, peer: FleetCertificates): boolean {
  const leaf = new X509Certificate(peer.certificate!.certificate);
  return pods.authorities.some(({ certificate }) => leaf.verify(new X509Certificate(certificate).publicKey));
}

test('a fleet begins with one authority and one certificate', () => {
  assert.equal(first.authorities.length, 1);
  assert.ok(trusts(first, first));
});

test('nothing changes while nothing is due', () => {
  for (const days of [0, 1, 30, 59]) {
    const later = renew(first, 'post/mail', START + days * DAY);
    assert.equal(later.certificate, first.certificate);
    assert.deepEqual(later.authorities, first.authorities);
  }
});

test('a certificate is renewed when a third of its life is left, by the same authority', () => {
  const later = renew(first, 'post/mail', START + 61 * DAY);
  assert.notEqual(later.certificate, first.certificate);
  assert.deepEqual(later.authorities, first.authorities);
  assert.ok(trusts(first, later) && trusts(later, first));
});

test('over thirty years of daily looks, pods that are a minute behind always understand each other', () => {
  let present: FleetCertificates = first;
  let authorities = 0;
  for (let day = 1; day < 30 * 365; day += 7) {
    for (const now of [START + day * DAY, START + day * DAY + 2 * HOUR]) {
      const next = renew(present, 'post/mail', now);
      assert.ok(trusts(present, next), `day ${day}: whoever has not heard of the change refuses those who have`);
      assert.ok(trusts(next, present), `day ${day}: whoever has heard of the change refuses those who have not`);
      assert.ok(new Date(new X509Certificate(next.certificate.certificate).validTo).getTime() > now);
      if (next.authorities.at(-1) !== present.authorities.at(-1)) authorities += 1;
      present = next;
    }
  }
  assert.equal(authorities, 3);
});

test('what was written into Secrets is read back', () => {
  const again = readCertificates(authorityData(first), certificateData(first));
  assert.deepEqual(again, first);
});

test('Secrets that somebody has spoilt are as if they were not there', () => {
  const spoilt = readCertificates({ 'ca-0.crt': 'x', 'ca-0.key': 'y' }, { 'tls.crt': 'x' });
  assert.deepEqual(spoilt, NOTHING);
});
