/**
 * Restrictions that Postfix 3.9 removed: reject_maps_rbl, check_relay_domains, permit_naked_ip_address. They work where
 * compatibility_level is below 3.9; from then on a configuration that names one is told what to write instead, and its
 * clients get 451 4.3.5.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { compareLevels } from '../../../lib/config/compatibility-level.ts';
import { isAddressLiteral } from '../../../lib/mail/mail-domain.ts';
import { destinationRestrictions } from './destination.ts';
import { dnsListRestrictions } from './dns-lists.ts';
import type { Check, ListKind, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { evaluate } from './evaluate.ts';
import { serverError } from './verdict.ts';

const REMOVED_AT = '3.9';

type Make = (environment: RestrictionEnvironment, kind: ListKind) => Check | Promise<Check>;

/** Every list of maps_rbl_domains, as reject_rbl_client asks it. */
async function mapsRbl(environment: RestrictionEnvironment, kind: ListKind): Promise<Check> {
  const checks: Check[] = [];
  for (const domain of environment.configuration.list('maps_rbl_domains')) {
    checks.push(await dnsListRestrictions.reject_rbl_client!.make(environment, kind, domain));
  }
  return (subject) => evaluate(checks, subject);
}

/** Permits mail for the domains that this system serves, and refuses all else. */
async function relayDomains(environment: RestrictionEnvironment, kind: ListKind): Promise<Check> {
  const checks = [
    await destinationRestrictions.permit_auth_destination!.make(environment, kind, ''),
    await destinationRestrictions.reject_unauth_destination!.make(environment, kind, ''),
  ];
  return (subject) => evaluate(checks, subject);
}

/** Permits clients whose HELO name is an address. */
function nakedAddress(): Check {
  return ({ heloName }) => (isIPv4(heloName) || isIPv6(heloName) || isAddressLiteral(heloName) ? 'permit' : 'dunno');
}

function removed(name: string, instead: string, make: Make): Restriction {
  return {
    make: (environment, kind) => {
      const { configuration, log } = environment;
      const level = compareLevels(configuration.text('compatibility_level'), REMOVED_AT, () => undefined);
      if (level !== undefined && level < 0) {
        log.warning(`support for restriction "${name}" will be removed from Postfix; use ${instead} instead`);
        return make(environment, kind);
      }
      return (subject) => {
        log.warning(`support for restriction "${name}" has been removed in Postfix 3.9; instead, specify ${instead}`);
        return serverError(environment, subject);
      };
    },
  };
}

export const removedRestrictions: RestrictionTable = {
  reject_maps_rbl: removed('reject_maps_rbl', '"reject_rbl_client domain-name"', mapsRbl),
  check_relay_domains: removed('check_relay_domains', '"reject_unauth_destination"', relayDomains),
  permit_naked_ip_address: removed(
    'permit_naked_ip_address',
    '"permit_mynetworks" or "permit_sasl_authenticated"',
    nakedAddress,
  ),
};
