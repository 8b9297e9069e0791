/** What pickup(8) reads from main.cf. */
import type { Configuration } from '../../lib/config/settings.ts';
import { type BounceTemplate, builtInTemplates } from '../../lib/mail/bounce-template.ts';

export const PICKUP_PARAMETERS = [
  'content_filter',
  'empty_address_recipient',
  'header_from_format',
  'mail_name',
  'myhostname',
  'postfleet_inline_limit',
  'postfleet_replicas',
  'receive_override_options',
];

export interface PickupSettings {
  readonly contentFilter: string;
  /** receive_override_options */
  readonly mapAddresses: boolean;
  readonly filterContent: boolean;
  /** Larger content goes to cleanup piece by piece. */
  readonly inlineLimit: number;
  readonly replicas: number;
  readonly myhostname: string;
  readonly mailName: string;
  readonly emptyAddressRecipient: string;
  readonly template: BounceTemplate;
}

export function readSettings(configuration: Configuration): PickupSettings {
  const overrides = new Set(configuration.list('receive_override_options'));
  return {
    contentFilter: configuration.text('content_filter'),
    mapAddresses: !overrides.has('no_address_mappings'),
    filterContent: !overrides.has('no_header_body_checks'),
    inlineLimit: configuration.integer('postfleet_inline_limit'),
    replicas: configuration.integer('postfleet_replicas'),
    myhostname: configuration.text('myhostname'),
    mailName: configuration.text('mail_name'),
    emptyAddressRecipient: configuration.text('empty_address_recipient'),
    template: builtInTemplates(configuration.text('header_from_format')).failure,
  };
}
