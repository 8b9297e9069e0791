/**
 * Hands a message over to cleanup(8) and turns its answer into the SMTP reply. 250 is said only for what cleanup says is in
 * the log, or is to be discarded by rule.
 */
import { Envelope, type SubmitReply, type SubmitRequest, SubmitStatus } from '../../lib/clients/protocols.ts';
import { encodeBytes } from '../../lib/util/byte-text.ts';
import type { SmtpdContext } from './context.ts';
import type { Subject } from './restrictions/subject.ts';
import type { Transaction } from './transaction.ts';

const NOTHING = Buffer.alloc(0);

/** What an envelope has where nothing else is said. */
const PLAIN_ENVELOPE: Envelope = Envelope.fromPartial({});

/** The request without its content. */
export function makeRequest(context: SmtpdContext, subject: Subject, transaction: Transaction): SubmitRequest {
  const { settings } = context;
  const { peer, actions } = subject;
  const recipient = (address: string) => ({ address, originalAddress: '', dsnOriginalRecipient: '', dsnNotify: 0 });
  const recipients = actions.redirect === '' ? transaction.recipients : [recipient(actions.redirect)];
  return {
    envelope: {
      ...PLAIN_ENVELOPE,
      queueId: transaction.queueId,
      arrivalTime: transaction.arrivalTime,
      sender: transaction.sender,
      recipients: actions.bcc.length === 0 ? recipients : [...recipients, ...actions.bcc.map(recipient)],
      encoding: transaction.encoding,
      smtputf8: transaction.smtputf8,
      dsnEnvid: transaction.dsnEnvid,
      dsnRet: transaction.dsnRet,
      client: {
        name: peer.name,
        address: peer.address,
        port: peer.port,
        heloName: subject.heloName,
        protocolName: subject.protocol,
        reverseName: peer.reverseName,
        saslMethod: subject.saslMethod,
        saslUsername: subject.saslUsername,
        saslSender: subject.saslSender,
        tlsProtocol: '',
      },
      rewriteContext: subject.rewriteContext,
      traceparent: transaction.span?.traceparent ?? '',
      filter: actions.filter === '' ? settings.contentFilter : actions.filter,
      hold: actions.hold,
      verpDelimiters: transaction.verpDelimiters,
    },
    content: NOTHING,
    options: {
      prependReceived: true,
      mapAddresses: !settings.receiveOverrideOptions.has('no_address_mappings'),
      filterContent: !settings.receiveOverrideOptions.has('no_header_body_checks'),
      extractRecipients: false,
      smtpMilters: !settings.receiveOverrideOptions.has('no_milters'),
    },
    activeClients: context.activeClients.count(performance.now()),
  };
}

/** Headers that PREPEND actions asked for, as the first lines of the content. */
export function prependedHeaders(subject: Subject): Buffer | undefined {
  const { prepend } = subject.actions;
  return prepend.length === 0 ? undefined : encodeBytes(prepend.map((line) => `${line}\n`).join(''));
}

/** The reply to the end of data. */
export function replyToSubmit(reply: SubmitReply, queueId: string, chunked = ''): string {
  const other = (code: number, status: string, text: string): string =>
    `${code} ${reply.enhancedStatus || status} ${reply.reason || text}`;
  switch (reply.status) {
    case SubmitStatus.QUEUED:
    case SubmitStatus.DISCARDED:
      return `250 2.0.0 Ok: ${chunked}queued as ${reply.queueId || queueId}`;
    case SubmitStatus.NO_SPACE:
      return '452 4.3.1 Error: insufficient system storage';
    case SubmitStatus.TOO_LARGE:
      return '552 5.3.4 Error: message file too big';
    case SubmitStatus.TOO_MANY_HOPS:
      return '554 5.4.0 Error: too many hops';
    case SubmitStatus.CONTENT_REFUSED: {
      const temporary = reply.enhancedStatus.startsWith('4');
      return other(temporary ? 451 : 550, '5.7.1', 'Error: message content rejected');
    }
    case SubmitStatus.NO_RECIPIENTS:
      return other(550, '5.1.0', 'Error: no recipients specified');
    default:
      return '451 4.3.0 Error: queue file write error';
  }
}
