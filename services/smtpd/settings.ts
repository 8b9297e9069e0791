/**
 * The settings of a session, compiled from main.cf once, and once more as they are under stress (STRESS_README): times in
 * milliseconds, sizes in bytes.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { FatalError } from '../../lib/util/errors.ts';

export type BareNewline = 'normalize' | 'note' | 'reject' | 'no';

export interface SmtpdSettings {
  readonly myhostname: string;
  readonly banner: string;
  readonly timeout: number;
  readonly perRequestDeadline: boolean;
  readonly minDataRate: number;
  readonly errorSleepTime: number;
  readonly softErrorLimit: number;
  readonly hardErrorLimit: number;
  readonly junkCommandLimit: number;
  readonly lineLengthLimit: number;
  readonly messageSizeLimit: number;
  readonly inlineLimit: number;
  readonly queueMinfree: number;
  readonly recipientLimit: number;
  readonly recipientOvershootLimit: number;
  readonly heloRequired: boolean;
  readonly strictEnvelopes: boolean;
  readonly disableVrfy: boolean;
  readonly smtputf8: boolean;
  readonly strictSmtputf8: boolean;
  readonly delayOpen: boolean;
  readonly forbidUnauthPipelining: boolean;
  readonly bareNewline: BareNewline;
  readonly bareNewlineRejectCode: number;
  readonly noopCommands: ReadonlySet<string>;
  readonly discardEhloKeywords: string;
  readonly peernameLookup: boolean;
  readonly softBounce: boolean;
  readonly portLogging: boolean;
  readonly connectionCountLimit: number;
  readonly connectionRateLimit: number;
  readonly messageRateLimit: number;
  readonly recipientRateLimit: number;
  readonly ipv4PrefixLength: number;
  readonly ipv6PrefixLength: number;
  readonly contentFilter: string;
  readonly receiveOverrideOptions: ReadonlySet<string>;
  readonly upstreamProxyProtocol: string;
  readonly upstreamProxyTimeout: number;
  readonly resolveNullDomain: boolean;
}

/** Compiles the settings; throws FatalError for a value that makes no sense. */
export function compileSettings(configuration: Configuration): SmtpdSettings {
  const text = (name: string) => configuration.text(name);
  const integer = (name: string) => configuration.integer(name);
  const milliseconds = (name: string) => configuration.seconds(name) * 1000;
  const boolean = (name: string) => configuration.boolean(name);
  const messageSizeLimit = integer('message_size_limit');
  return {
    myhostname: text('myhostname'),
    banner: text('smtpd_banner'),
    timeout: milliseconds('smtpd_timeout'),
    perRequestDeadline: boolean('smtpd_per_request_deadline'),
    minDataRate: integer('smtpd_min_data_rate'),
    errorSleepTime: milliseconds('smtpd_error_sleep_time'),
    softErrorLimit: integer('smtpd_soft_error_limit'),
    hardErrorLimit: integer('smtpd_hard_error_limit'),
    junkCommandLimit: integer('smtpd_junk_command_limit'),
    lineLengthLimit: integer('line_length_limit'),
    messageSizeLimit,
    inlineLimit: integer('postfleet_inline_limit'),
    queueMinfree: integer('queue_minfree'),
    recipientLimit: integer('smtpd_recipient_limit'),
    recipientOvershootLimit: integer('smtpd_recipient_overshoot_limit'),
    heloRequired: boolean('smtpd_helo_required'),
    strictEnvelopes: boolean('strict_rfc821_envelopes'),
    disableVrfy: boolean('disable_vrfy_command'),
    smtputf8: boolean('smtputf8_enable'),
    strictSmtputf8: boolean('strict_smtputf8'),
    delayOpen: boolean('smtpd_delay_open_until_valid_rcpt'),
    forbidUnauthPipelining: boolean('smtpd_forbid_unauth_pipelining'),
    bareNewline: bareNewline(text('smtpd_forbid_bare_newline')),
    bareNewlineRejectCode: integer('smtpd_forbid_bare_newline_reject_code'),
    noopCommands: new Set(configuration.list('smtpd_noop_commands').map((name) => name.toUpperCase())),
    discardEhloKeywords: text('smtpd_discard_ehlo_keywords'),
    peernameLookup: boolean('smtpd_peername_lookup'),
    softBounce: boolean('soft_bounce'),
    portLogging: boolean('smtpd_client_port_logging'),
    connectionCountLimit: integer('smtpd_client_connection_count_limit'),
    connectionRateLimit: integer('smtpd_client_connection_rate_limit'),
    messageRateLimit: integer('smtpd_client_message_rate_limit'),
    recipientRateLimit: integer('smtpd_client_recipient_rate_limit'),
    ipv4PrefixLength: integer('smtpd_client_ipv4_prefix_length'),
    ipv6PrefixLength: integer('smtpd_client_ipv6_prefix_length'),
    contentFilter: text('content_filter'),
    receiveOverrideOptions: new Set(configuration.list('receive_override_options')),
    upstreamProxyProtocol: text('smtpd_upstream_proxy_protocol'),
    upstreamProxyTimeout: milliseconds('smtpd_upstream_proxy_timeout'),
    resolveNullDomain: boolean('resolve_null_domain'),
  };
}

function bareNewline(value: string): BareNewline {
  switch (value.toLowerCase()) {
    case 'normalize':
    case 'yes':
      return 'normalize';
    case 'note':
      return 'note';
    case 'reject':
      return 'reject';
    case 'no':
      return 'no';
    default:
      throw new FatalError(
        `bad value for smtpd_forbid_bare_newline: "${value}": expected one of normalize, yes, note, reject, no`,
      );
  }
}
