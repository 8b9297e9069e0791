/** Conformance adapter: the non-delivery report for message.msg with the problems in bounce.log; no introductory text. */
import { readFileSync } from 'node:fs';
import { loadBounceTemplates } from '../../../lib/config/bounce-templates.ts';
import { Configuration } from '../../../lib/config/settings.ts';
import { composeBounce, type ReportedRecipient } from '../../../lib/mail/bounce-message.ts';

const configuration = Configuration.load('.');
const warn = (text: string): void => console.error(`bounce_message: warning: ${text}`);

/** The message listing: its records before the content, the content, and the records after it. */
const listing = readFileSync('message.msg', 'utf8').split('\n');
const value = (name: string): string =>
  listing.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
const attribute = (name: string): string => {
  const prefix = `named_attribute: ${name}=`;
  return listing.find((line) => line.startsWith(prefix))?.slice(prefix.length) ?? '';
};
const content = listing
  .filter((line) => line.startsWith('regular_text: ') || line.startsWith('continued_text: '))
  .map((line) => line.slice(line.indexOf(': ') + 2) + (line.startsWith('regular') ? '\n' : ''))
  .join('');

/** A block of `name = value` lines for each recipient. */
function recipients(): ReportedRecipient[] {
  const blocks = readFileSync('bounce.log', 'utf8').split(/\n{2,}/);
  return blocks
    .map(
      (block) =>
        new Map(
          block
            .trim()
            .split('\n')
            .map((line) => line.split(' = ', 2) as [string, string]),
        ),
    )
    .filter((fields) => fields.has('recipient'))
    .map((fields) => {
      const get = (name: string): string => fields.get(name) ?? '';
      return {
        address: get('recipient'),
        originalAddress: get('original_recipient'),
        dsnOriginalRecipient: get('dsn_orig_rcpt'),
        status: get('status'),
        action: get('action'),
        reason: get('reason'),
        diagnosticType: get('diag_type'),
        diagnosticText: get('diag_text'),
        remoteMta: get('mta_mname') === '' ? '' : `${get('mta_type')}; ${get('mta_mname')}`,
      };
    });
}

const { content: notice } = composeBounce({
  template: loadBounceTemplates(configuration, warn).failure,
  introduction: [],
  postmasterCopy: false,
  to: 'test-recipient',
  myhostname: configuration.text('myhostname'),
  mailName: configuration.text('mail_name'),
  boundaryTag: String(Math.floor(Date.now() / 1000)),
  message: {
    queueId: 'msgid',
    sender: value('sender'),
    arrivalTime: Date.parse(`${value('message_arrival_time')} UTC`),
    envelopeId: 'TEST-ENVID',
    smtputf8: false,
    threadWith: configuration.boolean('enable_threaded_bounces') ? attribute('message_id') : '',
  },
  recipients: recipients(),
  original: { kind: 'message', content: Buffer.from(content) },
});
process.stdout.write(notice);
