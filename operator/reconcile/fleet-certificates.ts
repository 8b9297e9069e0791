/**
 * The certificates of a fleet, made and renewed in time. Pure but for the keys that it draws.
 *
 * Authorities follow each other: long before one ends, its successor is made and trusted beside it, and signs only when
 * every pod has had the time to hear of it. Certificates are renewed when a third of their life is left; services read them again
 * without a restart.
 */
import { X509Certificate } from 'node:crypto';
import { FLEET_NAME } from '../../lib/clients/rpc-certificates.ts';
import { createAuthority, type Issued, issueCertificate } from '../../lib/tls/x509.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const AUTHORITY_LIFE = 3650 * DAY;
const AUTHORITY_RENEWAL = 365 * DAY;
const CERTIFICATE_LIFE = 90 * DAY;
const CERTIFICATE_RENEWAL = 30 * DAY;
/** For pods to hear of an authority before it signs: kubelets look once a minute at the latest. */
const SETTLING = HOUR;
/** Clocks of nodes may differ by as much. */
const CLOCK_SKEW = HOUR;

export interface FleetCertificates {
  /** The newest last; all are trusted. */
  readonly authorities: readonly Issued[];
  readonly certificate: Issued | undefined;
}

const dates = ({ certificate }: Issued): { begin: number; end: number } => {
  const { validFrom, validTo } = new X509Certificate(certificate);
  return { begin: new Date(validFrom).getTime(), end: new Date(validTo).getTime() };
};

const validity = (now: number, life: number) => ({
  notBefore: new Date(now - CLOCK_SKEW),
  notAfter: new Date(now + life),
});

function isSignedBy(certificate: Issued, authority: Issued): boolean {
  return new X509Certificate(certificate.certificate).verify(new X509Certificate(authority.certificate).publicKey);
}

/** The certificates as they should be at the moment `now` (milliseconds since 1970); the same where nothing is due. */
export function renew(
  present: FleetCertificates,
  fleet: string,
  now: number,
): FleetCertificates & { readonly certificate: Issued } {
  const living = present.authorities.filter((one) => dates(one).end > now);
  const newest = living.at(-1);
  const authorities =
    newest === undefined || dates(newest).end - now < AUTHORITY_RENEWAL
      ? [...living, createAuthority(`${fleet} ${new Date(now).toISOString()}`, validity(now, AUTHORITY_LIFE))]
      : living;
  const settled = authorities.filter((one) => dates(one).begin + CLOCK_SKEW + SETTLING <= now);
  const signer = settled.at(-1) ?? authorities[0]!;
  const { certificate } = present;
  const isFine =
    certificate !== undefined && dates(certificate).end - now > CERTIFICATE_RENEWAL && isSignedBy(certificate, signer);
  return {
    authorities,
    certificate: isFine ? certificate : issueCertificate(signer, [FLEET_NAME], validity(now, CERTIFICATE_LIFE)),
  };
}

/** Names of the keys in the Secret of the authorities: ca-0.crt, ca-0.key and so on, the newest last. */
export function authorityData({ authorities }: FleetCertificates): Record<string, string> {
  return Object.fromEntries(
    authorities.flatMap(({ certificate, key }, at) => [
      [`ca-${at}.crt`, certificate],
      [`ca-${at}.key`, key],
    ]),
  );
}

/** What pods are given. */
export function certificateData({
  authorities,
  certificate,
}: FleetCertificates & { readonly certificate: Issued }): Record<string, string> {
  return {
    'ca.crt': authorities.map((one) => one.certificate).join(''),
    'tls.crt': certificate.certificate,
    'tls.key': certificate.key,
  };
}

/** Reads both back; what cannot be read is as if it were not there. */
export function readCertificates(
  authority: Readonly<Record<string, string>>,
  pods: Readonly<Record<string, string>>,
): FleetCertificates {
  const authorities: Issued[] = [];
  for (let at = 0; authority[`ca-${at}.crt`] !== undefined; at++) {
    const one = { certificate: authority[`ca-${at}.crt`]!, key: authority[`ca-${at}.key`] ?? '' };
    if (isCertificate(one)) authorities.push(one);
  }
  const own = { certificate: pods['tls.crt'] ?? '', key: pods['tls.key'] ?? '' };
  return { authorities, certificate: isCertificate(own) ? own : undefined };
}

function isCertificate({ certificate, key }: Issued): boolean {
  try {
    return key.includes('PRIVATE KEY') && new X509Certificate(certificate).validTo !== '';
  } catch {
    return false;
  }
}
