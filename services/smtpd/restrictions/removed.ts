/**
 * Restrictions that Postfix 3.9 removed: reject_maps_rbl, check_relay_domains, permit_naked_ip_address. A name that is
 * removed is a configuration error, told with what to write instead.
 */
import type { RestrictionTable } from './environment.ts';
import { serverError } from './verdict.ts';

const INSTEAD: Readonly<Record<string, string>> = {
  reject_maps_rbl: '"reject_rbl_client domain-name"',
  check_relay_domains: '"reject_unauth_destination"',
  permit_naked_ip_address: '"permit_mynetworks" or "permit_sasl_authenticated"',
};

export const removedRestrictions: RestrictionTable = Object.fromEntries(
  Object.entries(INSTEAD).map(([name, instead]) => [
    name,
    {
      make: (environment) => (subject) => {
        environment.log.warning(
          `support for restriction "${name}" has been removed in Postfix 3.9; instead, specify ${instead}`,
        );
        return serverError(environment, subject);
      },
    },
  ]),
);
