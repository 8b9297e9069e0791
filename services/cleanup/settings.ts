/** cleanup(8)'s parameters that the message itself is shaped by, compiled once. */
import type { Configuration } from '../../lib/config/settings.ts';
import { queuePath } from '../../lib/queue/space.ts';

export const CLEANUP_PARAMETERS = [
  'message_size_limit',
  'hopcount_limit',
  'cleanup_replace_stray_cr_lf',
  'header_address_token_limit',
  'remote_header_rewrite_domain',
  'recipient_delimiter',
  'mydestination',
  'inet_interfaces',
  'proxy_interfaces',
  'parent_domain_matches_subdomains',
  'message_drop_headers',
  'always_add_missing_headers',
  'undisclosed_recipients_header',
  'duplicate_filter_limit',
  'queue_minfree',
  'queue_directory',
  'myhostname',
  'myorigin',
  'mail_name',
  'postfleet_shards',
  'postfleet_inline_limit',
] as const;

export interface CleanupSettings {
  /** Octets; 0: no limit. */
  readonly messageSizeLimit: number;
  readonly hopcountLimit: number;
  readonly replaceStrayCarriages: boolean;
  readonly dropHeaders: ReadonlySet<string>;
  readonly alwaysAddMissingHeaders: boolean;
  readonly undisclosedRecipientsHeader: string;
  /** Recipients that are remembered to find duplicates; 0: none are looked for. */
  readonly duplicateFilterLimit: number;
  readonly headerAddressTokenLimit: number;
  /** remote_header_rewrite_domain is set. */
  readonly rewritesRemoteHeaders: boolean;
  readonly queueMinfree: number;
  readonly queuePath: string;
  readonly myhostname: string;
  readonly myorigin: string;
  readonly mailName: string;
  readonly shards: number;
  /** Octets of content that a frame takes; what is larger goes in chunks. */
  readonly inlineLimit: number;
}

export function cleanupSettings(configuration: Configuration): CleanupSettings {
  return {
    messageSizeLimit: configuration.integer('message_size_limit'),
    hopcountLimit: configuration.integer('hopcount_limit'),
    replaceStrayCarriages: configuration.boolean('cleanup_replace_stray_cr_lf'),
    dropHeaders: new Set(configuration.list('message_drop_headers').map((name) => name.toLowerCase())),
    alwaysAddMissingHeaders: configuration.boolean('always_add_missing_headers'),
    undisclosedRecipientsHeader: configuration.text('undisclosed_recipients_header'),
    duplicateFilterLimit: configuration.integer('duplicate_filter_limit'),
    headerAddressTokenLimit: configuration.integer('header_address_token_limit'),
    rewritesRemoteHeaders: configuration.text('remote_header_rewrite_domain') !== '',
    queueMinfree: configuration.integer('queue_minfree'),
    queuePath: queuePath(configuration),
    myhostname: configuration.text('myhostname'),
    myorigin: configuration.text('myorigin'),
    mailName: configuration.text('mail_name'),
    shards: configuration.integer('postfleet_shards'),
    inlineLimit: configuration.integer('postfleet_inline_limit'),
  };
}
