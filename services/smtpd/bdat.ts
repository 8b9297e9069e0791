/**
 * BDAT (RFC 3030, BDAT_README): content in chunks of announced size. Line ends are made LF as for DATA; dots stay. What a
 * refused chunk holds is read and forgotten, because the client sends it before it sees the reply.
 */
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { DataScanner } from '../../lib/smtp/data-scanner.ts';
import type { LineBuffer } from '../../lib/smtp/line-buffer.ts';
import { printable } from '../../lib/util/byte-text.ts';
import type { Content } from './content.ts';
import { openContent } from './data.ts';
import { finishMessage, refuseContent } from './end-of-message.ts';
import { resetTransaction } from './housekeeping.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Receiver, Session } from './session.ts';

/** What the BDAT commands of one message share. */
export interface Chunking {
  readonly content: Content | undefined;
  readonly scanner: DataScanner;
  /** A chunk was refused: the others are read and forgotten. */
  readonly failed: boolean;
}

const DIGITS = /^\d+$/;
/** The largest size that a file can have; larger numbers are no sizes. */
const LARGEST = 2n ** 63n - 1n;
/** Times message_size_limit: a client that announces more is not listened to until it has sent that. */
const PATIENCE = 1.5;

export function bdat(session: Session, words: readonly CommandWord[], line: string): MaybePromise<string> {
  const { context, subject, transaction } = session;
  const text = words[1]?.text ?? '';
  const last = words.length === 3 && words[2]!.text.toUpperCase() === 'LAST';
  if (session.discard.has('chunking')) return '521 5.5.1 Error: command not implemented';
  if (words.length < 2 || words.length > 3 || (words.length === 3 && !last) || !isSize(text)) {
    // Without a size there is no telling content from commands.
    session.ending = true;
    context.log.warning(
      `${subject.queueId}: malformed BDAT command syntax from ${session.client}: ${printable(line.slice(0, 100))}`,
    );
    return `521 5.5.4 Syntax: BDAT count [LAST]`;
  }
  const size = Number(text);
  // Else a client could go on with them forever, and none would be an error.
  if (size === 0 && !last) {
    context.log.warning(`${subject.queueId}: null BDAT request from ${session.client}`);
    return skip(session, size, last, '551 5.7.1 Null BDAT request');
  }
  if (session.chunking !== undefined) return take(session, session.chunking, size, last);
  if (transaction === undefined) return skip(session, size, last, '503 5.5.1 Error: need RCPT command');
  if (transaction.recipients.length === 0) return skip(session, size, last, '554 5.5.1 Error: no valid recipients');
  const start = (refusal: string | undefined): MaybePromise<string> => {
    if (session.gone) return '';
    if (refusal !== undefined) return skip(session, size, last, refusal);
    const content = openContent(session);
    session.chunking = {
      content,
      scanner: new DataScanner({ standardEnd: session.standardNewlines, dots: false }),
      failed: false,
    };
    return take(session, session.chunking, size, last);
  };
  const refusal = context.policy.data(subject);
  return refusal instanceof Promise ? refusal.then(start) : start(refusal);
}

function isSize(text: string): boolean {
  return DIGITS.test(text) && BigInt(text) <= LARGEST;
}

/** Chunks up to the last one are read and forgotten. */
const FAILED: Chunking = {
  content: undefined,
  scanner: new DataScanner({ standardEnd: false, dots: false }),
  failed: true,
};

function take(session: Session, chunking: Chunking, size: number, last: boolean): MaybePromise<string> {
  const limit = session.settings.messageSizeLimit;
  const { content } = chunking;
  if (chunking.failed || content === undefined) {
    return skip(session, size, last, `551 5.0.0 Discarded ${size} bytes after earlier error`);
  }
  if (limit > 0 && content.size + size > limit) {
    const { context, subject, client } = session;
    context.log.warning(`${subject.queueId}: BDAT request from ${client} exceeds message size limit`);
    return skip(session, size, last, '552 5.3.4 Chunk exceeds message size limit');
  }
  const receiver = new ChunkReceiver(session, content, chunking, size, last);
  if (size === 0) return receiver.finish();
  session.receiveWith(receiver);
  return '';
}

/** Reads past a chunk that is not wanted, then gives the reply. Until the last one, further chunks are not wanted either. */
function skip(session: Session, size: number, last: boolean, reply: string): string {
  const { messageSizeLimit } = session.settings;
  const tooMuch = messageSizeLimit > 0 && (session.chunking?.content?.size ?? 0) + size > messageSizeLimit * PATIENCE;
  session.chunking?.content?.abort('chunk refused');
  if (last) resetTransaction(session);
  else session.chunking = FAILED;
  if (tooMuch) {
    const { context, subject, client } = session;
    const what = 'too much BDAT content -- disabling further input from';
    context.log.warning(`${subject.queueId}: ${what} ${client}`);
    session.endInput();
    return reply;
  }
  if (size === 0) return reply;
  session.receiveWith(new SkippedChunk(session, size, reply));
  return '';
}

class ChunkReceiver implements Receiver {
  readonly #session: Session;
  readonly #content: Content;
  readonly #scanner: DataScanner;
  readonly #size: number;
  readonly #last: boolean;
  #left: number;

  constructor(session: Session, content: Content, chunking: Chunking, size: number, last: boolean) {
    this.#session = session;
    this.#content = content;
    this.#scanner = chunking.scanner;
    this.#size = size;
    this.#last = last;
    this.#left = size;
  }

  receive(input: LineBuffer): MaybePromise<string> | undefined {
    const content = this.#content;
    const scanner = this.#scanner;
    const length = Math.min(this.#left, input.length);
    content.introduce(input.bytes, input.at, input.at + length);
    scanner.scan(input.bytes, input.at, input.at + length, content);
    input.skipTo(input.at + length);
    this.#left -= length;
    if (this.#left > 0) {
      if (content.full) this.#session.pauseInput();
      return undefined;
    }
    return this.#session.countedReply('BDAT', this.finish());
  }

  /** The chunk is complete: the reply, for the message as a whole where it was the last one. */
  finish(): MaybePromise<string> {
    const session = this.#session;
    const content = this.#content;
    const scanner = this.#scanner;
    session.receiveWith(undefined);
    if (!this.#last) return this.#next();
    scanner.finish(content);
    session.chunking = undefined;
    const octets = content.size - content.prepended + scanner.lines;
    return finishMessage(session, 'BDAT', content, scanner.sawBareNewline, `${octets} bytes `);
  }

  /** Others follow. */
  #next(): string {
    const session = this.#session;
    const content = this.#content;
    const refusal = refuseContent(session, 'BDAT', content, this.#scanner.sawBareNewline);
    if (refusal !== undefined) {
      session.chunking = FAILED;
      return refusal;
    }
    // Chunks that come whole never wait for more of themselves: the next one waits where nobody takes them.
    session.contentFull = () => content.full;
    if (content.full) session.pauseInput();
    return `250 2.0.0 Ok: ${this.#size} bytes`;
  }

  abort(): void {
    this.#content.abort('connection lost');
  }

  describe(): string {
    return `BDAT (${this.#content.size} bytes)`;
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
    return this.#session.countedReply('BDAT', this.#reply);
  }

  abort(): void {}

  describe(): string {
    return 'BDAT';
  }
}
