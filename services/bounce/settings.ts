/** What bounce(8) reads from main.cf, compiled once. */
import { expandTemplate, loadBounceTemplates, TEMPLATE_PARAMETERS } from '../../lib/config/bounce-templates.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import type { BounceTemplate, BounceTemplateName } from '../../lib/mail/bounce-template.ts';
import type { Log } from '../../lib/util/log.ts';

export const BOUNCE_PARAMETERS = [
  ...TEMPLATE_PARAMETERS,
  '2bounce_notice_recipient',
  'bounce_notice_recipient',
  'bounce_size_limit',
  'cleanup_service_name',
  'delay_notice_recipient',
  'disable_verp_bounces',
  'double_bounce_sender',
  'empty_address_recipient',
  'enable_threaded_bounces',
  'internal_mail_filter_classes',
  'mail_name',
  'myorigin',
  'notify_classes',
  'postfleet_inline_limit',
];

export interface ExpandedTemplate {
  readonly template: BounceTemplate;
  /** The text with names expanded. */
  readonly introduction: readonly string[];
}

export interface BounceSettings {
  readonly templates: Readonly<Record<BounceTemplateName, ExpandedTemplate>>;
  readonly myhostname: string;
  readonly myorigin: string;
  readonly mailName: string;
  /** Local part of the sender of mail that must never be answered. */
  readonly doubleBounceSender: string;
  /** What stands for the null sender. */
  readonly mailerDaemon: string;
  /** Words of notify_classes. */
  readonly notifyClasses: ReadonlySet<string>;
  readonly recipients: { readonly bounce: string; readonly doubleBounce: string; readonly delay: string };
  /** Octets of a message that are returned; a larger one is returned as its headers. */
  readonly sizeLimit: number;
  readonly threaded: boolean;
  readonly verp: boolean;
  readonly filterContent: boolean;
  readonly cleanupService: string;
  /** Octets of a notice that travel in one call; a larger one goes in pieces. */
  readonly inlineLimit: number;
  /** Seconds that a message is tried. */
  readonly queueLifetime: number;
}

/** Throws FatalError for values and templates that make no sense; lesser faults of a template are logged. */
export function bounceSettings(configuration: Configuration, log: Log): BounceSettings {
  const warn = (text: string): void => log.warning(text);
  const templates = loadBounceTemplates(configuration, warn);
  const expanded = (name: BounceTemplateName): ExpandedTemplate => {
    const template = templates[name];
    return { template, introduction: expandTemplate(template, configuration, warn) };
  };
  const myorigin = configuration.text('myorigin');
  return {
    templates: {
      failure: expanded('failure'),
      delay: expanded('delay'),
      success: expanded('success'),
      verify: expanded('verify'),
    },
    myhostname: configuration.text('myhostname'),
    myorigin,
    mailName: configuration.text('mail_name'),
    doubleBounceSender: configuration.text('double_bounce_sender'),
    mailerDaemon: `${configuration.text('empty_address_recipient')}@${myorigin}`,
    notifyClasses: new Set(configuration.list('notify_classes')),
    recipients: {
      bounce: configuration.text('bounce_notice_recipient'),
      doubleBounce: configuration.text('2bounce_notice_recipient'),
      delay: configuration.text('delay_notice_recipient'),
    },
    sizeLimit: configuration.integer('bounce_size_limit'),
    threaded: configuration.boolean('enable_threaded_bounces'),
    verp: !configuration.boolean('disable_verp_bounces'),
    filterContent: configuration.list('internal_mail_filter_classes').includes('bounce'),
    inlineLimit: configuration.integer('postfleet_inline_limit'),
    cleanupService: configuration.text('cleanup_service_name'),
    queueLifetime: configuration.seconds('maximal_queue_lifetime'),
  };
}
