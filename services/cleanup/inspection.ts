/**
 * What header_checks, body_checks and the MIME parameters say of a message, carried out on its envelope. The tables see the
 * message with the Received: header that is put in front of it, as they do in Postfix.
 *
 * Logs `QUEUEID: ACTION: header|body CONTENT from NAME[ADDRESS]; from=<…> to=<…> proto=… helo=<…>: TEXT`.
 */
import { type Envelope, type SubmitReply, SubmitStatus } from '../../lib/clients/protocols.ts';
import type { CheckLog } from '../../lib/mail/header-body-checks.ts';
import { decodeBytes, printable } from '../../lib/util/byte-text.ts';
import type { Log } from '../../lib/util/log.ts';
import { reply } from './commit.ts';
import { ContentInspection, type ContentVerdict, type InspectionContext } from './header-body-checks.ts';

/** Octets of content that a log line shows. */
const SHOWN = 200;

export function checkLog(envelope: Envelope, log: Log): CheckLog {
  const { queueId, client, sender, recipients } = envelope;
  const from = client === undefined || client.name === '' ? 'local' : `${client.name}[${client.address}]`;
  const protocol =
    client === undefined || client.protocolName === '' ? '' : ` proto=${client.protocolName} helo=<${client.heloName}>`;
  const origin = `from ${from}; from=<${sender}> to=<${recipients.at(-1)?.address ?? ''}>`;
  return {
    action: (action, subject, content, text) => {
      const shown = printable(decodeBytes(Buffer.from(content.slice(0, SHOWN), 'latin1')));
      // A broken structure is told without the session that it came by.
      const session = subject === 'mime-error' ? origin : `${origin}${protocol}`;
      log.info(`${queueId}: ${action}: ${subject} ${shown} ${session}${text === '' ? '' : `: ${text}`}`);
    },
    warn: (text) => log.warning(text),
  };
}

export function inspect(context: InspectionContext, envelope: Envelope, log: Log): ContentInspection {
  return new ContentInspection({ ...context.options, log: checkLog(envelope, log) });
}

/** The answer where the message is refused or thrown away; undefined where it goes on. */
export function verdictReply(verdict: ContentVerdict, queueId: string): SubmitReply | undefined {
  if (verdict.reject !== undefined) {
    return reply(SubmitStatus.CONTENT_REFUSED, queueId, verdict.reject.text, verdict.reject.status);
  }
  return verdict.discard ? reply(SubmitStatus.DISCARDED, queueId) : undefined;
}

/** The envelope as the verdict wants it. */
export function applyVerdict(envelope: Envelope, verdict: ContentVerdict): Envelope {
  const recipient = (address: string, dsnNotify: number) => ({
    address,
    originalAddress: '',
    dsnOriginalRecipient: '',
    dsnNotify,
  });
  // Who gets it instead is told in whose place.
  const last = envelope.recipients.at(-1);
  const instead = {
    ...recipient(verdict.redirect, 0),
    ...(last === undefined ? {} : { originalAddress: last.originalAddress || last.address }),
  };
  const redirected = verdict.redirect === '' ? envelope.recipients : [instead];
  return {
    ...envelope,
    hold: envelope.hold || verdict.hold,
    filter: verdict.filter === '' ? envelope.filter : verdict.filter,
    recipients: [...redirected, ...verdict.bcc.map((address) => recipient(address, 1))],
  };
}
