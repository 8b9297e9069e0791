/**
 * The notice to a local user whose message cleanup refuses for good: too large, too many hops, refused content, no
 * recipients. sendmail has long ended by then, so a message is the only way to say so.
 */
import type { SubmitReply, SubmitRequest } from '../../lib/clients/protocols.ts';
import { Envelope, SubmitStatus } from '../../lib/clients/protocols.ts';
import { composeBounce } from '../../lib/mail/bounce-message.ts';
import type { PickupSettings } from './settings.ts';

/** Status and text of a refusal; undefined for a reply that is none. */
export function refusalOf(reply: SubmitReply): { status: string; reason: string } | undefined {
  const { status, enhancedStatus, reason } = reply;
  const refusal = (code: string, text: string) => ({ status: enhancedStatus || code, reason: reason || text });
  switch (status) {
    case SubmitStatus.TOO_LARGE:
      return refusal('5.3.4', 'message file too big');
    case SubmitStatus.TOO_MANY_HOPS:
      return refusal('5.4.0', 'too many hops');
    case SubmitStatus.CONTENT_REFUSED:
      return refusal('5.7.1', 'message content rejected');
    case SubmitStatus.NO_RECIPIENTS:
      return refusal('5.1.0', 'no recipients specified');
    default:
      return undefined;
  }
}

/** The submission of the notice, with its headers alone of the original; undefined for mail without a sender. */
export function refusalNotice(
  envelope: Envelope,
  headers: Buffer,
  refusal: { status: string; reason: string },
  queueId: string,
  settings: PickupSettings,
): SubmitRequest | undefined {
  if (envelope.sender === '') return undefined;
  const now = Date.now();
  const { myhostname, mailName, template, emptyAddressRecipient } = settings;
  const addresses = envelope.recipients.length === 0 ? [''] : envelope.recipients.slice(0, 100).map((to) => to.address);
  const notice = composeBounce({
    template,
    introduction: template.text.map((line) => line.replaceAll('$myhostname', myhostname)),
    postmasterCopy: false,
    to: envelope.sender,
    myhostname,
    mailName,
    boundaryTag: String(Math.floor(now / 1000)),
    message: {
      queueId: envelope.queueId,
      sender: envelope.sender,
      arrivalTime: envelope.arrivalTime / 1000,
      envelopeId: '',
      smtputf8: envelope.smtputf8,
      threadWith: '',
    },
    recipients: addresses.map((address) => ({
      address: address === '' ? emptyAddressRecipient : address,
      originalAddress: '',
      dsnOriginalRecipient: '',
      status: refusal.status,
      action: 'failed',
      reason: refusal.reason,
      diagnosticType: '',
      diagnosticText: '',
      remoteMta: '',
    })),
    original: { kind: 'headers', content: headers },
  });
  return {
    envelope: Envelope.create({
      queueId,
      arrivalTime: now * 1000,
      sender: '',
      recipients: [{ address: envelope.sender }],
      encoding: notice.encoding,
      smtputf8: envelope.smtputf8,
      rewriteContext: 'local',
      idempotenceKey: `${envelope.idempotenceKey}:refused`,
    }),
    content: notice.content,
    options: {
      prependReceived: true,
      mapAddresses: true,
      filterContent: false,
      extractRecipients: false,
      smtpMilters: false,
    },
    activeClients: 0,
  };
}
