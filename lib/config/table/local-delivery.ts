// biome-ignore-all format: one parameter a line
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
/**
 * Parameters of local, virtual and pipe.
 * Columns: name, type, default, range, since, read by, meaning (lib/config/parameters.ts explains them).
 */
import type { ParameterRow } from '../parameters.ts';

export const localDelivery: readonly ParameterRow[] = [
  ['alias_maps', 'string', '$default_database_type:/etc/aliases', '', '', 'local', 'Tables that local delivery consults for aliases.'],
  ['allow_mail_to_commands', 'string', 'alias, forward', '', '', 'local', ''],
  ['allow_mail_to_files', 'string', 'alias, forward', '', '', 'local', ''],
  ['biff', 'bool', 'yes', '', '', 'local', 'Notify local users of new mail.'],
  ['command_execution_directory', 'raw', '', '', '2.2', 'local', ''],
  ['command_expansion_filter', 'string', '1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', '', '', 'local', ''],
  ['command_time_limit', 'time', '1000s', '0..', '', 'local', ''],
  ['execution_directory_expansion_filter', 'string', '1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', '', '2.2', 'local', ''],
  ['expand_owner_alias', 'bool', 'no', '', '', 'local', ''],
  ['export_environment', 'string', 'TZ MAIL_CONFIG LANG', '', '', 'local pipe', ''],
  ['fallback_transport', 'string', '', '', '', 'local', 'Transport for users not known to local delivery.'],
  ['fallback_transport_maps', 'string', '', '', '2.3', 'local', ''],
  ['forward_expansion_filter', 'string', '1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', '', '', 'local', ''],
  ['forward_path', 'raw', '$home/.forward${recipient_delimiter}${extension}, $home/.forward', '', '', 'local', 'Where local users may keep .forward files.'],
  ['frozen_delivered_to', 'bool', 'yes', '', '2.3', 'local', ''],
  ['home_mailbox', 'string', '', '', '', 'local', 'Mailbox path below the user\'s home directory.'],
  ['local_command_shell', 'string', '', '', '', 'local', ''],
  ['local_delivery_status_filter', 'string', '$default_delivery_status_filter', '', '3.0', 'local', ''],
  ['local_destination_concurrency_limit', 'string', '2', '', '', 'local', ''],
  ['local_destination_recipient_limit', 'string', '1', '', '', 'local', ''],
  ['luser_relay', 'raw', '', '', '', 'local', 'Where mail for unknown local users goes.'],
  ['mail_spool_directory', 'string', '/var/mail', '', '', 'local', ''],
  ['mailbox_command', 'raw', '', '', '', 'local', 'External command used for local mailbox delivery.'],
  ['mailbox_command_maps', 'string', '', '', '', 'local', ''],
  ['mailbox_delivery_lock', 'string', 'fcntl, dotlock', '', '', 'local', ''],
  ['mailbox_size_limit', 'long', '51200000', '0..', '', 'local', 'Maximum size of a local mailbox file.'],
  ['mailbox_transport', 'string', '', '', '', 'local', 'Transport that takes over local mailbox delivery.'],
  ['mailbox_transport_maps', 'string', '', '', '2.3', 'local', ''],
  ['owner_request_special', 'bool', 'yes', '', '', 'local', 'Treat owner- and -request names specially in alias expansion.'],
  ['pipe_delivery_status_filter', 'string', '$default_delivery_status_filter', '', '3.0', 'pipe', ''],
  ['prepend_delivered_header', 'string', 'command, file, forward', '', '', 'local', 'When the Delivered-To: header is added.'],
  ['require_home_directory', 'bool', 'no', '', '', 'local', 'Defer when a user\'s home directory is missing.'],
  ['reset_owner_alias', 'bool', 'no', '', '2.8', 'local', ''],
  ['stale_lock_time', 'time', '500s', '1..', '', 'local virtual', ''],
  ['strict_mailbox_ownership', 'bool', 'yes', '', '2.5', 'local virtual', ''],
  ['virtual_delivery_status_filter', 'string', '$default_delivery_status_filter', '', '3.0', 'virtual', ''],
  ['virtual_gid_maps', 'string', '', '', '', 'virtual', 'Numeric group id per virtual recipient.'],
  ['virtual_mailbox_base', 'string', '', '', '', 'virtual', 'Prefix for virtual mailbox paths.'],
  ['virtual_mailbox_domains', 'string', '$virtual_mailbox_maps', '', '2.0', 'smtpd virtual', 'Domains delivered by the virtual transport.'],
  ['virtual_mailbox_limit', 'long', '51200000', '0..', '', 'virtual', 'Maximum size of a virtual mailbox.'],
  ['virtual_mailbox_lock', 'string', 'fcntl, dotlock', '', '', 'virtual', ''],
  ['virtual_mailbox_maps', 'string', '', '', '', 'smtpd virtual', 'Valid recipients and mailbox paths in virtual_mailbox_domains.'],
  ['virtual_minimum_uid', 'int', '100', '1..', '', 'virtual', ''],
  ['virtual_uid_maps', 'string', '', '', '', 'virtual', 'Numeric user id per virtual recipient.'],
];
