/**
 * Parameters that Postfix will remove or has removed, and what to specify instead, for the warnings of postconf and of
 * a configuration check. @see DEPRECATION_README
 */
import { oldNames } from './old-names.ts';
import { parameters } from './parameters.ts';

const leaveAtDefault = 'do not specify (leave at default)';

/** Replacements: a parameter name in quotes, or a sentence. */
const deprecated: ReadonlyMap<string, string> = new Map([
  ['authorized_verp_clients', '"smtpd_authorized_verp_clients"'],
  ['disable_dns_lookups', '"smtp_dns_support_level"'],
  ['fallback_relay', '"smtp_fallback_relay"'],
  ['lmtp_cname_overrides_servername', ''],
  ['lmtp_enforce_tls', '"lmtp_tls_security_level"'],
  ['lmtp_per_record_deadline', '"lmtp_per_request_deadline"'],
  ['lmtp_tls_enforce_peername', '"lmtp_tls_security_level"'],
  ['lmtp_tls_per_site', '"lmtp_tls_policy_maps"'],
  ['lmtp_use_tls', '"lmtp_tls_security_level"'],
  ['maps_rbl_domains', '"reject_rbl_client" in smtpd_client_restrictions'],
  ['postscreen_blacklist_action', '"postscreen_denylist_action"'],
  ['postscreen_dnsbl_ttl', '"postscreen_dnsbl_max_ttl"'],
  ['postscreen_dnsbl_whitelist_threshold', '"postscreen_dnsbl_allowlist_threshold"'],
  ['postscreen_enforce_tls', '"postscreen_tls_security_level"'],
  ['postscreen_use_tls', '"postscreen_tls_security_level"'],
  ['postscreen_whitelist_interfaces', '"postscreen_allowlist_interfaces"'],
  ['smtp_cname_overrides_servername', ''],
  ['smtp_enforce_tls', '"smtp_tls_security_level"'],
  ['smtp_per_record_deadline', '"smtp_per_request_deadline"'],
  ['smtp_tls_enforce_peername', '"smtp_tls_security_level"'],
  ['smtp_tls_per_site', '"smtp_tls_policy_maps"'],
  ['smtp_use_tls', '"smtp_tls_security_level"'],
  ['smtpd_client_connection_limit_exceptions', '"smtpd_client_event_limit_exceptions"'],
  ['smtpd_enforce_tls', '"smtpd_tls_security_level"'],
  ['smtpd_per_record_deadline', '"smtpd_per_request_deadline"'],
  ['smtpd_tls_dh1024_param_file', leaveAtDefault],
  ['smtpd_tls_dh512_param_file', leaveAtDefault],
  ['smtpd_tls_eecdh_grade', leaveAtDefault],
  ['smtpd_use_tls', '"smtpd_tls_security_level"'],
  ['tls_export_cipherlist', leaveAtDefault],
  ['tls_low_cipherlist', leaveAtDefault],
  ['tlsproxy_client_enforce_tls', '"tlsproxy_client_security_level"'],
  ['tlsproxy_client_level', '"tlsproxy_client_security_level"'],
  ['tlsproxy_client_per_site', '"tlsproxy_client_policy_maps"'],
  ['tlsproxy_client_policy', '"tlsproxy_client_policy_maps"'],
  ['tlsproxy_client_use_tls', '"tlsproxy_client_security_level"'],
  ['tlsproxy_enforce_tls', '"tlsproxy_tls_security_level"'],
  ['tlsproxy_use_tls', '"tlsproxy_tls_security_level"'],
  ['virtual_maps', '"virtual_alias_maps"'],
]);

/** Names that mean nothing any more; Postfix keeps the first for tests of the warning. */
const removed: ReadonlySet<string> = new Set([
  'deleted-test-only',
  'enable_errors_to',
  'extract_recipient_limit',
  'qmgr_site_hog_factor',
  'sender_based_routing',
  'tls_dane_digest_agility',
  'tls_dane_trust_anchor_digest_enable',
]);

export const moreAboutDeprecation = 'See https://www.postfix.org/DEPRECATION_README.html for details';

/** Whether the name is one of old that is still read although the parameter table has it under another name. */
export function isLegacyName(name: string): boolean {
  return !parameters.has(name) && (deprecated.has(name) || oldNames().has(name));
}

export function isRemovedName(name: string): boolean {
  return removed.has(name);
}

/** What to say of a setting under this name, or undefined where nothing is wrong with it. */
export function deprecationOf(name: string): string | undefined {
  if (removed.has(name)) return `support for parameter ${name} has been removed; instead, do not specify`;
  const present = oldNames().get(name);
  const replacement = present === undefined ? deprecated.get(name) : `"${present}"`;
  if (replacement === undefined) return undefined;
  const advice = replacement.startsWith('"') ? `specify ${replacement}` : replacement || 'do not specify';
  return `support for parameter "${name}" will be removed; instead, ${advice}`;
}
