/** DATA (RFC 5321 section 4.1.1.4): content up to a line with nothing but a dot. */
import { type SubmitReply, SubmitStatus } from '../../lib/clients/protocols.ts';
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { DataScanner } from '../../lib/smtp/data-scanner.ts';
import type { LineBuffer } from '../../lib/smtp/line-buffer.ts';
import { Content } from './content.ts';
import { finishMessage } from './end-of-message.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Receiver, Session } from './session.ts';
import { makeRequest, prependedHeaders } from './submit.ts';

export function data(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  const { transaction, context, subject } = session;
  if (session.chunking !== undefined) return '503 5.5.1 Error: DATA after BDAT';
  if (transaction === undefined) return '503 5.5.1 Error: need RCPT command';
  if (words.length !== 1) return '501 5.5.4 Syntax: DATA';
  if (transaction.recipients.length === 0) return '554 5.5.1 Error: no valid recipients';
  const start = (refusal: string | undefined): string => {
    if (refusal !== undefined) return refusal;
    if (session.gone) return '';
    session.receiveWith(new DataReceiver(session));
    session.promise('354 End data with <CR><LF>.<CR><LF>');
    return '';
  };
  const refusal = context.policy.data(subject);
  return refusal instanceof Promise ? refusal.then(start) : start(refusal);
}

/** Where the content of the message at hand goes; large content is submitted while it comes. */
export function openContent(session: Session): Content {
  const { context, settings, transaction, subject } = session;
  if (transaction === undefined) throw new TypeError('content without a transaction');
  const submitLarge = (stream: AsyncIterable<Buffer>): Promise<SubmitReply> => {
    const request = makeRequest(context, subject, transaction);
    if (subject.actions.discard) return discard(stream);
    return context.cleanup().submitLarge(request, stream, context.signal);
  };
  const content = new Content({ inline: settings.inlineLimit, message: settings.messageSizeLimit }, submitLarge, () =>
    session.resumeInput(),
  );
  session.contentFull = () => content.full;
  const headers = prependedHeaders(subject);
  if (headers !== undefined) content.prepend(headers);
  return content;
}

async function discard(stream: AsyncIterable<Buffer>): Promise<SubmitReply> {
  for await (const _ of stream);
  return { status: SubmitStatus.DISCARDED, queueId: '', enhancedStatus: '', reason: '' };
}

class DataReceiver implements Receiver {
  readonly #session: Session;
  readonly #content: Content;
  readonly #scanner: DataScanner;

  constructor(session: Session) {
    this.#session = session;
    this.#content = openContent(session);
    this.#scanner = new DataScanner({ standardEnd: session.standardNewlines });
  }

  receive(input: LineBuffer): MaybePromise<string> | undefined {
    const scanner = this.#scanner;
    const content = this.#content;
    content.introduce(input.bytes, input.at, input.bytes.length);
    scanner.scan(input.bytes, input.at, input.bytes.length, content);
    input.skipTo(scanner.next);
    if (!scanner.ended) {
      if (content.full) this.#session.pauseInput();
      return undefined;
    }
    this.#session.receiveWith(undefined);
    const reply = finishMessage(this.#session, 'DATA', content, scanner.sawBareNewline);
    return this.#session.countedReply('DATA', reply);
  }

  abort(): void {
    this.#content.abort('connection lost');
  }

  describe(): string {
    return `DATA (${this.#content.size} bytes)`;
  }
}
