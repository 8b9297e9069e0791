/**
 * One notice as cleanup(8) gets it: text, envelope, and the key under which it happens once. Pure.
 */
import { createHash } from 'node:crypto';
import { Envelope, type SubmitRequest } from '../../lib/clients/protocols.ts';
import { type AttachedOriginal, composeBounce, type ReportedRecipient } from '../../lib/mail/bounce-message.ts';
import { mailDate } from '../../lib/mail/date.ts';
import { receivedHeader } from '../../lib/mail/received.ts';
import { keyText, type MessageKey } from '../../lib/queue/message-key.ts';
import type { BounceLogKind, BounceLogRecord } from '../../lib/queue/sql/bounce-log.ts';
import { decodeXtext } from '../../lib/smtp/xtext.ts';
import { type PlannedNotice, verpAddress } from './plan.ts';
import type { BounceSettings } from './settings.ts';

/** A message, and what its notices are made of. */
export interface Subject {
  readonly key: MessageKey;
  readonly kind: BounceLogKind;
  readonly queueId: string;
  readonly envelope: Envelope;
}

export interface NoticeOrder {
  readonly subject: Subject;
  readonly notice: PlannedNotice;
  /** The recipients that it tells of; at least one. */
  readonly records: readonly BounceLogRecord[];
  /** Undefined: nothing is attached. */
  readonly original: AttachedOriginal | undefined;
  /** Queue id of the notice. */
  readonly queueId: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly traceparent: string;
}

const KIND_WORDS = { 1: 'bounce', 2: 'delay', 3: 'trace' } as const;

export function composeNotice(order: NoticeOrder, settings: BounceSettings): SubmitRequest {
  const { subject, notice, records, queueId, now } = order;
  const { smtputf8, verpDelimiters } = subject.envelope;
  const to = notice.verp ? verpAddress(notice.to, records[0]!.address.toString('utf8'), verpDelimiters) : notice.to;
  const { text, encoding } = noticeText(order, to, settings);
  // A notice has no client: the header says that this system made it.
  const { myhostname, mailName } = settings;
  const received = receivedHeader({ myhostname, mailName, queueId, date: mailDate(now) });
  const content = Buffer.concat([Buffer.from(`${received}\n`), text]);
  return {
    envelope: Envelope.fromPartial({
      queueId,
      arrivalTime: now * 1000,
      sender: notice.from,
      recipients: [{ address: to }],
      encoding,
      smtputf8,
      contentSize: content.length,
      rewriteContext: 'local',
      traceparent: order.traceparent,
      idempotenceKey: submissionKey(subject, notice, records),
    }),
    content,
    options: {
      prependReceived: false,
      mapAddresses: true,
      filterContent: settings.filterContent,
      extractRecipients: false,
      smtpMilters: false,
    },
    activeClients: 0,
  };
}

function noticeText(order: NoticeOrder, to: string, settings: BounceSettings) {
  const { subject, notice, records, original, now } = order;
  const { envelope } = subject;
  const { template, introduction } = settings.templates[notice.template];
  const arrivalTime = envelope.arrivalTime / 1000;
  const retry = notice.template === 'delay' ? { willRetryUntil: arrivalTime + settings.queueLifetime * 1000 } : {};
  const { content: text, encoding } = composeBounce({
    template,
    introduction: notice.audience === 'postmaster' ? [] : introduction,
    postmasterCopy: notice.audience === 'postmaster',
    to,
    myhostname: settings.myhostname,
    mailName: settings.mailName,
    boundaryTag: String(Math.floor(now / 1000)),
    message: {
      queueId: subject.queueId,
      sender: envelope.sender === '' ? settings.mailerDaemon : envelope.sender,
      arrivalTime,
      envelopeId: decodeXtext(envelope.dsnEnvid) ?? envelope.dsnEnvid,
      smtputf8: envelope.smtputf8,
      threadWith: settings.threaded ? envelope.messageId : '',
      ...retry,
    },
    recipients: records.map(reported),
    original,
  });
  return { text, encoding };
}

function reported(record: BounceLogRecord): ReportedRecipient {
  const text = (bytes: Buffer): string => bytes.toString('utf8');
  const [type = '', ...original] = text(record.dsnOriginalRecipient).split(';');
  const address = text(record.address);
  const originalAddress = text(record.originalAddress);
  // Without ORCPT the address as received is the original recipient, as if the client had said so.
  const given = original.length > 0 ? `${type};${decodeXtext(original.join(';')) ?? original.join(';')}` : '';
  const own = record.diagnosticType === '' || record.diagnosticType === 'x-postfix';
  return {
    address,
    originalAddress,
    dsnOriginalRecipient: given !== '' ? given : `rfc822;${originalAddress !== '' ? originalAddress : address}`,
    status: record.status,
    action: record.action,
    reason: text(record.reason),
    diagnosticType: own ? '' : record.diagnosticType,
    diagnosticText: text(record.diagnosticText),
    remoteMta: record.remoteMta === '' ? '' : `dns; ${record.remoteMta}`,
  };
}

/**
 * Names the notice by what it is about: the message, the kind, and the set of recipients, which is the generation of the
 * log. A notice of recipients that failed later is another one; rows that were lost and written again make the same.
 */
function submissionKey(subject: Subject, notice: PlannedNotice, records: readonly BounceLogRecord[]): string {
  const generation = createHash('sha256').update(records.map((record) => record.recipient).join(','));
  const kind = KIND_WORDS[subject.kind];
  const copy = notice.audience === 'postmaster' ? ':postmaster' : '';
  return `notice:${keyText(subject.key)}:${kind}:${generation.digest('hex').slice(0, 16)}${copy}`;
}
