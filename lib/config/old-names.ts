/**
 * Names that parameters had once, and misspellings that guides spread: which present name each stands for. A setting
 * under such a name is read as one of the present name unless main.cf sets that too, and postconf and the services warn.
 *
 * Names whose successor refers to them in its default (virtual_maps, fallback_relay) are parameters in their own right
 * and stand in lib/config/deprecated.ts.
 */

const presentNames: ReadonlyMap<string, string> = new Map([
  ['program_directory', 'daemon_directory'],
  ['queue_message_active_limit', 'qmgr_message_active_limit'],
  ['qmgr_active_limit', 'qmgr_message_active_limit'],
  ['qmgr_recipient_limit', 'qmgr_message_recipient_limit'],
  ['junk_command_limit', 'smtpd_junk_command_limit'],
  ['smtp_connection_cache_domains', 'smtp_connection_cache_destinations'],
  ['lmtp_connection_cache_domains', 'lmtp_connection_cache_destinations'],
  ['lmtp_cache_connection', 'lmtp_connection_cache_on_demand'],
  ['smtpd_sasl_enable', 'smtpd_sasl_auth_enable'],
  ['smtpd_client_restriction', 'smtpd_client_restrictions'],
  ['smtpd_helo_restriction', 'smtpd_helo_restrictions'],
  ['smtpd_sender_restriction', 'smtpd_sender_restrictions'],
  ['smtpd_recipient_restriction', 'smtpd_recipient_restrictions'],
  ['smtpd_relay_restriction', 'smtpd_relay_restrictions'],
  ['smtpd_data_restriction', 'smtpd_data_restrictions'],
  ['smtpd_etrn_restriction', 'smtpd_etrn_restrictions'],
  ['deliver_lock_attemps', 'deliver_lock_attempts'],
  ['fork_attemps', 'fork_attempts'],
]);

/** The present name of one that was renamed or is a common misspelling; undefined for every other name. */
export function presentName(name: string): string | undefined {
  return presentNames.get(name);
}

export function oldNames(): ReadonlyMap<string, string> {
  return presentNames;
}
