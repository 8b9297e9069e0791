/**
 * BDAT (RFC 3030, BDAT_README): content in chunks of announced size. Line ends are made LF as for DATA; dots stay. What a
 * refused chunk holds is read and forgotten, because the client sends it before it sees the reply.
 */
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { DataScanner } from '../../lib/smtp/data-scanner.ts';
import type { LineBuffer } from '../../lib/smtp/line-buffer.ts';
import type { Content } from './content.ts';
import { openContent } from './data.ts';
import { finishMessage } from './end-of-message.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Receiver, Session } from './session.ts';

/** What BDAT commands of one message share. */
export interface Chunking {
  readonly content: Content;
  readonly scanner: DataScanner;
  /** The reply to a chunk that failed: all further ones get it too. */
  refusal: string | undefined;
}

/** Larger numbers are no sizes. */
const SIZE = /^\d{1,15}$/;

export function bdat(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  const { context, subject, transaction } = session;
  const text = words[1]?.text ?? '';
  const last = words.length === 3 && words[2]!.text.toUpperCase() === 'LAST';
  if (session.discard.has('chunking')) return '502 5.5.1 Error: command not implemented';
  if (words.length < 2 || words.length > 3 || (words.length === 3 && !last) || !SIZE.test(text)) {
    // Without a size there is no telling content from commands.
    session.ending = true;
    return `521 5.5.4 Syntax: BDAT count [LAST]`;
  }
  const size = Number(text);
  if (transaction === undefined) return skip(session, size, '503 5.5.1 Error: need RCPT command');
  if (transaction.recipients.length === 0) return skip(session, size, '554 5.5.1 Error: no valid recipients');
  if (session.chunking !== undefined) return take(session, session.chunking, size, last);
  const start = (refusal: string | undefined): MaybePromise<string> => {
    if (refusal !== undefined) return skip(session, size, refusal);
    session.chunking = {
      content: openContent(session),
      scanner: new DataScanner({ standardEnd: false, dots: false }),
      refusal: undefined,
    };
    return take(session, session.chunking, size, last);
  };
  const refusal = context.policy.data(subject);
  return refusal instanceof Promise ? refusal.then(start) : start(refusal);
}

function take(session: Session, chunking: Chunking, size: number, last: boolean): MaybePromise<string> {
  const limit = session.settings.messageSizeLimit;
  if (chunking.refusal === undefined && limit > 0 && chunking.content.size + size > limit) {
    chunking.refusal = '552 5.3.4 Chunk exceeds message size limit';
    chunking.content.abort('message file too big');
  }
  if (chunking.refusal !== undefined) return skip(session, size, chunking.refusal);
  const receiver = new ChunkReceiver(session, chunking, size, last);
  if (size === 0) return receiver.finish();
  session.receiveWith(receiver);
  return '';
}

/** Reads past a chunk that is not wanted, then gives the reply. */
function skip(session: Session, size: number, reply: string): string {
  if (size === 0) return reply;
  session.receiveWith(new SkippedChunk(session, size, reply));
  return '';
}

class ChunkReceiver implements Receiver {
  readonly #session: Session;
  readonly #chunking: Chunking;
  readonly #size: number;
  readonly #last: boolean;
  #left: number;

  constructor(session: Session, chunking: Chunking, size: number, last: boolean) {
    this.#session = session;
    this.#chunking = chunking;
    this.#size = size;
    this.#last = last;
    this.#left = size;
  }

  receive(input: LineBuffer): MaybePromise<string> | undefined {
    const { content, scanner } = this.#chunking;
    const length = Math.min(this.#left, input.length);
    scanner.scan(input.bytes, input.at, input.at + length, content);
    input.skipTo(input.at + length);
    this.#left -= length;
    if (this.#left > 0) {
      if (content.full) this.#session.pauseInput();
      return undefined;
    }
    return this.finish();
  }

  /** The chunk is complete: the reply, for the message as a whole where it was the last one. */
  finish(): MaybePromise<string> {
    const session = this.#session;
    const { content, scanner } = this.#chunking;
    session.receiveWith(undefined);
    if (!this.#last) {
      session.contentFull = () => content.full;
      session.countCommand('BDAT', true);
      return `250 2.0.0 Ok: ${this.#size} bytes`;
    }
    scanner.finish(content);
    session.chunking = undefined;
    return finishMessage(session, 'BDAT', content, scanner.sawBareNewline);
  }

  abort(): void {
    this.#chunking.content.abort('connection lost');
  }

  describe(): string {
    return `BDAT (${this.#chunking.content.size} bytes)`;
  }
}

class SkippedChunk implements Receiver {
  readonly #session: Session;
  readonly #reply: string;
  #left: number;

  constructor(session: Session, size: number, reply: string) {
    this.#session = session;
    this.#left = size;
    this.#reply = reply;
  }

  receive(input: LineBuffer): string | undefined {
    const length = Math.min(this.#left, input.length);
    input.skipTo(input.at + length);
    this.#left -= length;
    if (this.#left > 0) return undefined;
    this.#session.receiveWith(undefined);
    this.#session.countCommand('BDAT', false);
    return this.#reply;
  }

  abort(): void {}

  describe(): string {
    return 'BDAT';
  }
}
