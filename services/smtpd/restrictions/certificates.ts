/**
 * Restrictions for clients with a TLS certificate: permit_tls_clientcerts (those whose fingerprint is in
 * relay_clientcerts) and permit_tls_all_clientcerts (any that was verified). See postconf(5), TLS_README.
 */
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import type { Check, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import type { Subject } from './subject.ts';
import { refuse, type Verdict } from './verdict.ts';

async function listedCertificate(environment: RestrictionEnvironment): Promise<Check> {
  const certificates = await openMaps(
    'relay_clientcerts',
    environment.configuration.text('relay_clientcerts'),
    environment.tables,
  );
  const judge = async (subject: Subject): Promise<Verdict> => {
    const { certificateFingerprint, publicKeyFingerprint } = subject;
    try {
      for (const fingerprint of [certificateFingerprint, publicKeyFingerprint]) {
        if (fingerprint !== '' && (await certificates.lookup(fingerprint)) !== undefined) return 'permit';
      }
      return 'dunno';
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return refuse(environment, subject, 451, '4.3.0', `<${certificateFingerprint}>: Temporary lookup failure`);
    }
  };
  return (subject) => (subject.certificateFingerprint === '' ? 'dunno' : judge(subject));
}

export const certificateRestrictions: RestrictionTable = {
  permit_tls_clientcerts: { make: listedCertificate },
  permit_tls_all_clientcerts: {
    make: () => (subject) => (subject.certificateFingerprint === '' ? 'dunno' : 'permit'),
  },
};
