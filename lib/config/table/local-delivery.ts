// biome-ignore-all format: one parameter a line
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
/**
 * Parameters of local, virtual and pipe.
 * Columns: name, type, default, range, since, read by, meaning (lib/config/parameters.ts explains them).
 */
import type { ParameterRow } from '../parameters.ts';

export const localDelivery: readonly ParameterRow[] = [
  ['alias_maps', 'string', '$default_database_type:/etc/aliases', '', '', 'local smtpd', 'Tables that local delivery consults for aliases.'],
  ['allow_mail_to_commands', 'string', 'alias, forward', '', '', 'local', 'Where local delivery accepts |command as a destination.'],
  ['allow_mail_to_files', 'string', 'alias, forward', '', '', 'local', 'Where local delivery accepts /file/name as a destination.'],
  ['biff', 'bool', 'yes', '', '', '', 'Notify local users of new mail.'],
  ['command_execution_directory', 'raw', '', '', '2.2', 'local', 'Working directory of commands that local delivery runs.'],
  ['command_expansion_filter', 'string', '1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', '', '', 'local', 'Characters that may stand in values expanded into $name of mailbox_command and its like.'],
  ['command_time_limit', 'time', '1000s', '0..', '', 'local pipe', 'Time that a delivery command may run.'],
  ['execution_directory_expansion_filter', 'string', '1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', '', '2.2', 'local', 'Characters that may stand in values expanded into command_execution_directory.'],
  ['expand_owner_alias', 'bool', 'no', '', '', 'local', 'Use the members of owner-name instead of owner-name itself as the sender of mail to alias name.'],
  ['export_environment', 'string', 'TZ MAIL_CONFIG LANG', '', '', 'local pipe', 'Environment variables that commands run by delivery agents are given.'],
  ['fallback_transport', 'string', '', '', '', 'local', 'Transport for users not known to local delivery.'],
  ['fallback_transport_maps', 'string', '', '', '2.3', 'local', 'fallback_transport per recipient.'],
  ['forward_expansion_filter', 'string', '1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', '', '', 'local', 'Characters that may stand in values expanded into forward_path.'],
  ['forward_path', 'raw', '$home/.forward${recipient_delimiter}${extension}, $home/.forward', '', '', 'local', 'Where local users may keep .forward files.'],
  ['frozen_delivered_to', 'bool', 'yes', '', '2.3', 'local', 'Take Delivered-To: loops from the addresses that were there when local delivery began.'],
  ['home_mailbox', 'string', '', '', '', 'local', 'Mailbox path below the user\'s home directory.'],
  ['local_command_shell', 'string', '', '', '', 'local', 'Shell for commands of local delivery; empty runs them directly where they need none.'],
  ['local_delivery_status_filter', 'string', '$default_delivery_status_filter', '', '3.0', '', 'default_delivery_status_filter of the local delivery agent.'],
  ['local_destination_concurrency_limit', 'string', '2', '', '', 'qmgr', 'Parallel local deliveries to one recipient.'],
  ['local_destination_recipient_limit', 'string', '1', '', '', 'cleanup qmgr', 'Recipients per local delivery.'],
  ['luser_relay', 'raw', '', '', '', 'local', 'Where mail for unknown local users goes.'],
  ['mail_spool_directory', 'string', '/var/mail', '', '', 'local', 'Directory of UNIX-style mailboxes.'],
  ['mailbox_command', 'raw', '', '', '', 'local', 'External command used for local mailbox delivery.'],
  ['mailbox_command_maps', 'string', '', '', '', 'local', 'mailbox_command per recipient.'],
  ['mailbox_delivery_lock', 'string', 'fcntl, dotlock', '', '', 'local', 'How a mailbox file is locked.'],
  ['mailbox_size_limit', 'long', '51200000', '0..', '', 'local', 'Maximum size of a local mailbox file.'],
  ['mailbox_transport', 'string', '', '', '', 'check local operator', 'Transport that takes over local mailbox delivery.'],
  ['mailbox_transport_maps', 'string', '', '', '2.3', 'local', 'mailbox_transport per recipient.'],
  ['owner_request_special', 'bool', 'yes', '', '', 'local smtpd', 'Treat owner- and -request names specially in alias expansion.'],
  ['pipe_delivery_status_filter', 'string', '$default_delivery_status_filter', '', '3.0', '', 'default_delivery_status_filter of the pipe delivery agent.'],
  ['prepend_delivered_header', 'string', 'command, file, forward', '', '', 'local', 'When the Delivered-To: header is added.'],
  ['require_home_directory', 'bool', 'no', '', '', 'local', 'Defer when a user\'s home directory is missing.'],
  ['reset_owner_alias', 'bool', 'no', '', '2.8', 'local', 'Take away the owner- sender for members of an alias that have no owner of their own.'],
  ['stale_lock_time', 'time', '500s', '1..', '', 'local virtual', 'Age at which a mailbox lock file is taken for a leftover.'],
  ['strict_mailbox_ownership', 'bool', 'yes', '', '2.5', 'local virtual', 'Defer delivery when a mailbox does not belong to its recipient.'],
  ['virtual_delivery_status_filter', 'string', '$default_delivery_status_filter', '', '3.0', '', 'default_delivery_status_filter of the virtual delivery agent.'],
  ['virtual_gid_maps', 'string', '', '', '', 'virtual', 'Numeric group id per virtual recipient.'],
  ['virtual_mailbox_base', 'string', '', '', '', 'virtual', 'Prefix for virtual mailbox paths.'],
  ['virtual_mailbox_domains', 'string', '$virtual_mailbox_maps', '', '2.0', 'check operator trivial-rewrite', 'Domains delivered by the virtual transport.'],
  ['virtual_mailbox_limit', 'long', '51200000', '0..', '', 'virtual', 'Maximum size of a virtual mailbox.'],
  ['virtual_mailbox_lock', 'string', 'fcntl, dotlock', '', '', 'virtual', 'How a virtual mailbox file is locked.'],
  ['virtual_mailbox_maps', 'string', '', '', '', 'check operator smtpd trivial-rewrite virtual', 'Valid recipients and mailbox paths in virtual_mailbox_domains.'],
  ['virtual_minimum_uid', 'int', '100', '1..', '', 'virtual', 'Lowest user id that virtual_uid_maps may give.'],
  ['virtual_uid_maps', 'string', '', '', '', 'virtual', 'Numeric user id per virtual recipient.'],
];
