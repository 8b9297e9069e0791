/**
 * Writes mailboxes with the rights of their owners. Node cannot change the rights of a part of a process, so whatever is
 * to be done as somebody else is handed to a process that has given up all others (mailbox-writer-process.ts): one a
 * user, kept for a while, a bounded number of them. What is to be done as ourselves is done here.
 *
 * Only the superuser can do things as somebody else; everybody else is refused with 4.3.5.
 *
 * Side effects: starts processes, each about 45 MB and 60 ms. Logs a warning when one ends in the middle of its work; the
 * delivery is then deferred, for its outcome is unknown.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Log } from '../util/log.ts';
import type { MailboxOrder, MailboxOutcome } from './mailbox-order.ts';
import { type FileText, readFileText } from './read-file.ts';
import { canChangeRights, type Rights } from './rights.ts';
import { errorCode } from './system-error.ts';
import { writeMailbox } from './write-mailbox.ts';

/** Messages to the writer process. */
export type WriterRequest =
  | { readonly id: number; readonly kind: 'write'; readonly order: MailboxOrder }
  | { readonly id: number; readonly kind: 'piece'; readonly data: Buffer; readonly last: boolean }
  | { readonly id: number; readonly kind: 'abandon' }
  | { readonly id: number; readonly kind: 'read'; readonly path: string; readonly limit: number };

/** Messages from it. */
export type WriterReply =
  | { readonly id: number; readonly kind: 'more' }
  | { readonly id: number; readonly kind: 'written'; readonly outcome: MailboxOutcome }
  | { readonly id: number; readonly kind: 'read'; readonly text: FileText };

export interface WriterLimits {
  /** Most processes at once; deliveries for further users wait. */
  readonly processes: number;
  /** Milliseconds that one is kept without work. */
  readonly idle: number;
}

const LIMITS: WriterLimits = { processes: 16, idle: 30_000 };

export class MailboxWriters implements AsyncDisposable {
  readonly #log: Log;
  readonly #limits: WriterLimits;
  readonly #writers = new Map<string, Writer>();
  readonly #waiting: (() => void)[] = [];

  constructor(log: Log, limits: WriterLimits = LIMITS) {
    this.#log = log;
    this.#limits = limits;
  }

  /** Carries out an order as `rights` say, as ourselves where they are undefined. Rejects with an error of `content`. */
  async write(
    rights: Rights | undefined,
    order: MailboxOrder,
    content: AsyncIterable<Buffer>,
  ): Promise<MailboxOutcome> {
    if (isOurselves(rights)) return writeMailbox(order, content);
    if (!canChangeRights()) return cannotBecome(rights);
    const writer = await this.#writer(rights);
    try {
      return await writer.write(order, content);
    } finally {
      this.#release(writer);
    }
  }

  /** Reads a small file as `rights` say. */
  async readFile(rights: Rights | undefined, path: string, limit: number): Promise<FileText> {
    if (isOurselves(rights) || !canChangeRights()) return readFileText(path, limit);
    // Most users have no such file: whether there is one, the superuser may see without a process of the user.
    if (await isMissing(path)) return { found: 'nothing' };
    const writer = await this.#writer(rights);
    try {
      return await writer.read(path, limit);
    } finally {
      this.#release(writer);
    }
  }

  async #writer(rights: Rights): Promise<Writer> {
    const key = `${rights.uid}:${rights.gid}`;
    for (;;) {
      const known = this.#writers.get(key);
      if (known !== undefined && !known.ended) {
        known.users++;
        return known;
      }
      if (known === undefined && this.#writers.size >= this.#limits.processes && !this.#endIdle()) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      const writer = new Writer(rights, this.#limits.idle, this.#log, () => {
        if (this.#writers.get(key) === writer) this.#writers.delete(key);
        this.#waiting.shift()?.();
      });
      writer.users++;
      this.#writers.set(key, writer);
      return writer;
    }
  }

  #release(writer: Writer): void {
    writer.users--;
    if (writer.users > 0) return;
    writer.rest();
    this.#waiting.shift()?.();
  }

  /** Makes room by ending one that has no work. */
  #endIdle(): boolean {
    for (const [key, writer] of this.#writers) {
      if (writer.users > 0) continue;
      this.#writers.delete(key);
      writer.end();
      return true;
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const writers = [...this.#writers.values()];
    for (const writer of writers) writer.end();
    await Promise.all(writers.map((writer) => writer.exited));
  }
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    const code = errorCode(error);
    return code === 'ENOENT' || code === 'ENOTDIR';
  }
}

function isOurselves(rights: Rights | undefined): rights is undefined {
  return rights === undefined || (rights.uid === process.geteuid?.() && rights.gid === process.getegid?.());
}

function cannotBecome(rights: Rights): MailboxOutcome {
  const reason = `cannot write as uid ${rights.uid}: the service does not run as root`;
  return { delivered: false, status: '4.3.5', reason };
}

interface Call {
  more?: () => void;
  done(reply: WriterReply | undefined): void;
}

/** One process with the rights of one user. */
class Writer {
  users = 0;
  ended = false;
  readonly exited: Promise<void>;
  readonly #process: ChildProcess;
  readonly #calls = new Map<number, Call>();
  readonly #idle: number;
  #timer: NodeJS.Timeout | undefined;
  #lastId = 0;

  constructor(rights: Rights, idle: number, log: Log, gone: () => void) {
    this.#idle = idle;
    const script = import.meta.url.endsWith('.ts') ? './mailbox-writer-process.ts' : './mailbox-writer-process.js';
    this.#process = fork(
      fileURLToPath(new URL(script, import.meta.url)),
      [String(rights.uid), String(rights.gid)],
      // Nothing of our environment, which may hold passwords, is for a process of somebody else.
      {
        serialization: 'advanced',
        env: { PATH: '/usr/bin:/bin' },
        execArgv: [],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      },
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    this.exited = promise;
    const end = (why: string): void => {
      if (this.ended) return;
      this.ended = true;
      clearTimeout(this.#timer);
      if (this.#calls.size > 0) log.warning(`mailbox writer for uid ${rights.uid} ended during a delivery: ${why}`);
      for (const call of this.#calls.values()) call.done(undefined);
      this.#calls.clear();
      gone();
      resolve();
    };
    this.#process.on('message', (reply: WriterReply) => this.#answer(reply));
    this.#process.on('error', (error) => end(String(error)));
    this.#process.on('exit', (code, signal) => end(signal ?? `exit status ${code}`));
  }

  #answer(reply: WriterReply): void {
    const call = this.#calls.get(reply.id);
    if (call === undefined) return;
    if (reply.kind === 'more') {
      call.more?.();
      return;
    }
    this.#calls.delete(reply.id);
    call.done(reply);
  }

  /** A call whose `reply` is undefined when the process ended first. */
  #call(): { id: number; call: Call; reply: Promise<WriterReply | undefined> } {
    clearTimeout(this.#timer);
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<WriterReply | undefined>();
    const call: Call = { done: resolve };
    if (this.ended) resolve(undefined);
    else this.#calls.set(id, call);
    return { id, call, reply: promise };
  }

  #send(request: WriterRequest): void {
    // A failed send is followed by the end of the process, which answers all calls.
    if (this.#process.connected) this.#process.send(request, () => {});
  }

  async write(order: MailboxOrder, content: AsyncIterable<Buffer>): Promise<MailboxOutcome> {
    const { id, call, reply } = this.#call();
    this.#send({ id, kind: 'write', order });
    const ended = reply.then(() => true);
    try {
      for await (const data of content) {
        const more = new Promise<false>((resolve) => {
          call.more = () => resolve(false);
        });
        this.#send({ id, kind: 'piece', data, last: false });
        // One piece is under way at a time, so that neither side collects a large message in memory.
        if (await Promise.race([more, ended])) break;
      }
    } catch (error) {
      this.#send({ id, kind: 'abandon' });
      await reply;
      throw error;
    }
    this.#send({ id, kind: 'piece', data: Buffer.alloc(0), last: true });
    const answer = await reply;
    if (answer?.kind === 'written') return answer.outcome;
    return { delivered: false, status: '4.3.0', reason: 'the mailbox writer ended unexpectedly' };
  }

  async read(path: string, limit: number): Promise<FileText> {
    const { id, reply } = this.#call();
    this.#send({ id, kind: 'read', path, limit });
    const answer = await reply;
    if (answer?.kind === 'read') return answer.text;
    return { found: 'error', reason: 'the mailbox writer ended unexpectedly', temporary: true };
  }

  /** Ends when there is no more work for a while. */
  rest(): void {
    clearTimeout(this.#timer);
    if (this.ended) return;
    this.#timer = setTimeout(() => {
      if (this.users === 0) this.end();
    }, this.#idle);
    this.#timer.unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    if (this.#process.connected) this.#process.disconnect();
  }
}
