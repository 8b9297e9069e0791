/**
 * The templates of delivery status notifications: their text in a bounce_template_file, and the built-in ones.
 *
 * A file holds `failure_template = <<EOF`, headers, an empty line, text, `EOF`; likewise delay_template, success_template
 * and verify_template. A template with a fault is reported through `warn` and the built-in one is used in its place, so
 * that a slip in a text never costs a notice. Text outside the templates that is neither blank nor a comment is a
 * mistake of structure: FatalError names file and line.
 *
 * Pure.
 * @see bounce(5)
 */
import { FatalError } from '../util/errors.ts';

export type BounceTemplateName = 'failure' | 'delay' | 'success' | 'verify';

export interface BounceTemplate {
  readonly name: BounceTemplateName;
  /** The file, or "[built-in]"; for messages. */
  readonly origin: string;
  readonly charset: string;
  readonly from: string;
  readonly subject: string;
  /** Subject of the copy for the postmaster; absent where there is never one. */
  readonly postmasterSubject?: string;
  /** Lines without line ends; `$name` not expanded. */
  readonly text: readonly string[];
}

export type BounceTemplates = Readonly<Record<BounceTemplateName, BounceTemplate>>;

export const BOUNCE_TEMPLATE_NAMES: readonly BounceTemplateName[] = ['failure', 'delay', 'success', 'verify'];

const BUILT_IN = '[built-in]';

const INTRODUCTION = ['This is the mail system at host $myhostname.', ''];
const SIGNATURE = ['                   The mail system'];
const ASSISTANCE = [
  'For further assistance, please send mail to postmaster.',
  '',
  'If you do so, please include this problem report. You can',
  'delete your own text from the attached returned message.',
  '',
  ...SIGNATURE,
];

/** The templates that hold where bounce_template_file has none. `from` depends on header_from_format. */
export function builtInTemplates(headerFromFormat: string): BounceTemplates {
  const from =
    headerFromFormat === 'obsolete' ? 'MAILER-DAEMON (Mail Delivery System)' : 'Mail Delivery System <MAILER-DAEMON>';
  const common = { origin: BUILT_IN, charset: 'us-ascii', from };
  return {
    failure: {
      ...common,
      name: 'failure',
      subject: 'Undelivered Mail Returned to Sender',
      postmasterSubject: 'Postmaster Copy: Undelivered Mail',
      text: [
        ...INTRODUCTION,
        "I'm sorry to have to inform you that your message could not",
        "be delivered to one or more recipients. It's attached below.",
        '',
        ...ASSISTANCE,
      ],
    },
    delay: {
      ...common,
      name: 'delay',
      subject: 'Delayed Mail (still being retried)',
      postmasterSubject: 'Postmaster Warning: Delayed Mail',
      text: [
        ...INTRODUCTION,
        '####################################################################',
        '# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #',
        '####################################################################',
        '',
        'Your message could not be delivered for more than $delay_warning_time_hours hour(s).',
        'It will be retried until it is $maximal_queue_lifetime_days day(s) old.',
        '',
        ...ASSISTANCE,
      ],
    },
    success: {
      ...common,
      name: 'success',
      subject: 'Successful Mail Delivery Report',
      text: [
        ...INTRODUCTION,
        'Your message was successfully delivered to the destination(s)',
        'listed below. If the message was delivered to mailbox you will',
        'receive no further notifications. Otherwise you may still receive',
        'notifications of mail delivery errors from other systems.',
        '',
        ...SIGNATURE,
      ],
    },
    verify: {
      ...common,
      name: 'verify',
      subject: 'Mail Delivery Status Report',
      text: [...INTRODUCTION, 'Enclosed is the mail delivery report that you requested.', '', ...SIGNATURE],
    },
  };
}

type Warn = (text: string) => void;

/** Reads the text of a bounce_template_file (one character per byte or decoded); `path` is named in messages. */
export function parseBounceTemplates(
  file: string,
  path: string,
  builtIn: BounceTemplates,
  warn: Warn,
): BounceTemplates {
  const templates: Record<BounceTemplateName, BounceTemplate> = { ...builtIn };
  const lines = file.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const start = /^\s*([A-Za-z0-9_]+)\s*=\s*<<\s*(\S+)\s*$/.exec(line);
    if (start === null)
      throw new FatalError(`${path}, line ${at + 1}: expected "template_name = <<EOF", found "${line}"`);
    const [, label = '', marker = ''] = start;
    const end = lines.indexOf(marker, at + 1);
    if (end < 0) warn(`${path}, line ${lines.length}: missing "${marker}" end marker`);
    const content = lines.slice(at + 1, end < 0 ? lines.length : end);
    at = end < 0 ? lines.length : end;

    const name = BOUNCE_TEMPLATE_NAMES.find((known) => label === `${known}_template`);
    if (name === undefined) warn(`${path}: unknown template name: ${label} -- ignoring this template`);
    else {
      const made = makeTemplate(builtIn[name], content, path);
      if (typeof made === 'string') warn(`${path}: ${made} -- ignoring this template`);
      else templates[name] = made;
    }
  }
  return templates;
}

const HEADER = /^([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*?)[ \t]*$/;

/** The template, or what is wrong with it. */
function makeTemplate(base: BounceTemplate, lines: readonly string[], path: string): BounceTemplate | string {
  const template = { ...base, origin: path };
  let at = 0;
  for (; at < lines.length; at++) {
    const header = HEADER.exec(lines[at]!);
    if (header === null) break;
    const [, label = '', value = ''] = header;
    if (value === '') return `empty "${label}" header value in ${base.name} template`;
    if (!isAscii(value)) return `non-ASCII "${label}" header value in ${base.name} template`;
    switch (label.toLowerCase()) {
      case 'charset':
        template.charset = value;
        break;
      case 'from':
        template.from = value;
        break;
      case 'subject':
        template.subject = value;
        break;
      case 'postmaster-subject':
        if (base.postmasterSubject === undefined) return `no "${label}" header is expected in ${base.name} template`;
        template.postmasterSubject = value;
        break;
      default:
        return `unknown "${label}" header label in ${base.name} template`;
    }
  }
  if (at < lines.length && /^[ \t]+\S/.test(lines[at]!) && at > 0) return `multi-line header in ${base.name} template`;
  if (lines[at] === '') at++;
  template.text = lines.slice(at);
  if (template.text.length === 0) return `missing message text in ${base.name} template`;
  if (template.charset.toLowerCase() === 'us-ascii' && !template.text.every(isAscii)) {
    return `8-bit message text in ${base.name} template: please specify a charset value other than us-ascii`;
  }
  return template;
}

export function isAscii(text: string): boolean {
  return /^[\x01-\x7f]*$/.test(text);
}

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  seconds: 1,
  minutes: 60,
  hours: 3600,
  days: 86400,
  weeks: 604800,
};

/** What `$delay_warning_time_hours` and its like stand for, in whole units; undefined for any other name. */
export function templateTime(
  name: string,
  secondsOf: (parameter: 'delay_warning_time' | 'maximal_queue_lifetime') => number,
): { readonly units: number; readonly seconds: number } | undefined {
  const found = /^(delay_warning_time|maximal_queue_lifetime)_([a-z]+)$/.exec(name);
  const unit = found === null ? undefined : UNIT_SECONDS[found[2]!];
  if (unit === undefined) return undefined;
  const seconds = secondsOf(found![1] as 'delay_warning_time' | 'maximal_queue_lifetime');
  return { units: Math.floor(seconds / unit), seconds };
}
