/**
 * Names of access restrictions (postconf(5), smtpd_recipient_restrictions and its like): those that there are, and misspelt
 * ones that guides have spread. Each of the latter is read as the restriction that it means, with a warning: to refuse
 * every client of a server whose postmaster followed such a guide would help nobody. Pure.
 */
import { splitOutsideBraces } from '../util/split.ts';

/** Restrictions that stand alone. */
const WITHOUT_ARGUMENT = [
  'check_recipient_maps', 'check_relay_domains', 'defer', 'defer_if_permit', 'defer_if_reject',
  'defer_unauth_destination', 'permit', 'permit_auth_destination', 'permit_inet_interfaces', 'permit_mx_backup',
  'permit_mynetworks', 'permit_naked_ip_address', 'permit_sasl_authenticated', 'permit_tls_all_clientcerts',
  'permit_tls_clientcerts', 'reject', 'reject_authenticated_sender_login_mismatch', 'reject_invalid_helo_hostname',
  'reject_invalid_hostname', 'reject_known_sender_login_mismatch', 'reject_maps_rbl', 'reject_multi_recipient_bounce',
  'reject_non_fqdn_helo_hostname', 'reject_non_fqdn_hostname', 'reject_non_fqdn_recipient', 'reject_non_fqdn_sender',
  'reject_plaintext_session', 'reject_sender_login_mismatch', 'reject_unauth_destination', 'reject_unauth_pipelining',
  'reject_unauthenticated_sender_login_mismatch', 'reject_unknown_address', 'reject_unknown_client',
  'reject_unknown_client_hostname', 'reject_unknown_helo_hostname', 'reject_unknown_hostname',
  'reject_unknown_recipient_domain', 'reject_unknown_reverse_client_hostname', 'reject_unknown_sender_domain',
  'reject_unlisted_recipient', 'reject_unlisted_sender',
]; // biome-ignore format: a word list

const WITH_ARGUMENT = [
  'check_ccert_access', 'check_client_a_access', 'check_client_access', 'check_client_mx_access', 'check_client_ns_access',
  'check_etrn_access', 'check_helo_a_access', 'check_helo_access', 'check_helo_mx_access', 'check_helo_ns_access',
  'check_recipient_a_access', 'check_recipient_access', 'check_recipient_mx_access', 'check_recipient_ns_access',
  'check_reverse_client_hostname_a_access', 'check_reverse_client_hostname_access',
  'check_reverse_client_hostname_mx_access', 'check_reverse_client_hostname_ns_access', 'check_sasl_access',
  'check_sender_a_access', 'check_sender_access', 'check_sender_mx_access', 'check_sender_ns_access',
  'permit_dnswl_client', 'permit_rhswl_client', 'reject_rbl_client', 'reject_rhsbl_client', 'reject_rhsbl_helo',
  'reject_rhsbl_recipient', 'reject_rhsbl_reverse_client', 'reject_rhsbl_sender', 'sleep',
]; // biome-ignore format: a word list

/** Every restriction; true where a word has to follow. */
export const restrictionNames: ReadonlyMap<string, boolean> = new Map([
  ...WITHOUT_ARGUMENT.map((name) => [name, false] as const),
  ...WITH_ARGUMENT.map((name) => [name, true] as const),
]);

const PRESENT: ReadonlyMap<string, string> = new Map([
  ['check_client_address', 'check_client_access'],
  ['check_helo_address', 'check_helo_access'],
  ['check_sender_address', 'check_sender_access'],
  ['check_recipient_address', 'check_recipient_access'],
  ['permit_mynetwork', 'permit_mynetworks'],
  ['permit_sasl_authenicated', 'permit_sasl_authenticated'],
  ['reject_non_fqnd_hostname', 'reject_non_fqdn_helo_hostname'],
  ['reject_non_fqnd_helo_hostname', 'reject_non_fqdn_helo_hostname'],
  ['reject_non_fqnd_sender', 'reject_non_fqdn_sender'],
  ['reject_non_fqnd_recipient', 'reject_non_fqdn_recipient'],
  ['reject_unauth_destinations', 'reject_unauth_destination'],
  ['reject_unauth_piplining', 'reject_unauth_pipelining'],
]);

/** The words of a restriction list; an argument that holds blanks or commas stands in braces, which are gone here. */
export function restrictionWords(text: string): string[] {
  return splitOutsideBraces(text).map((word) => (word.startsWith('{') ? word.slice(1, -1).trim() : word));
}

/** The name of the restriction that a word means, in small letters; the word itself where it is no misspelling. */
export function restrictionName(word: string, warn: (text: string) => void = () => undefined): string {
  const name = word.toLowerCase();
  const present = PRESENT.get(name);
  if (present === undefined) return name;
  warn(`restriction "${word}" is misspelt; it is read as "${present}"; specify that instead`);
  return present;
}
