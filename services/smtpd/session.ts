/**
 * One SMTP session: from the greeting to the end of the connection.
 *
 * What the client sends is worked off in order, line by line or as content, without a promise as long as answers are at
 * hand; replies to what came in one piece leave in one write. While something is waited for (a lookup, cleanup(8)), input
 * collects up to a bound and then stays in the client's hands. A session ends with its timeout, an error limit, QUIT, the
 * client's hanging up, or the end of the service's grace period.
 *
 * Logs `connect from`, `disconnect from` with counts of commands, `lost connection after`, `timeout after`, and whatever
 * the commands log. See smtpd(8), RFC 5321.
 */
import type { Connection, ConnectionEvents } from '../../lib/server/connection.ts';
import { LineBuffer } from '../../lib/smtp/line-buffer.ts';
import { readProxyHeader } from '../../lib/smtp/proxy-protocol.ts';
import { encodeBytes, printable } from '../../lib/util/byte-text.ts';
import { deadlines, type Limited } from '../../lib/util/deadlines.ts';
import { type Heard, NEVER } from './active-clients.ts';
import type { Chunking } from './bdat.ts';
import { ClientErrors } from './client-errors.ts';
import { CommandCounts } from './command-counts.ts';
import { commands, UNKNOWN_COMMAND } from './commands.ts';
import type { SmtpdContext } from './context.ts';
import { noteEarlyInput, runCommandLine } from './dispatch.ts';
import { NOBODY, type Peer, Subject } from './restrictions/subject.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { SmtpdSettings } from './settings.ts';
import type { Transaction } from './transaction.ts';

/** Takes what comes instead of command lines, until it has a reply. */
export interface Receiver {
  /** Consumes input; undefined where more must come. */
  receive(input: LineBuffer): MaybePromise<string> | undefined;
  /** The session ended within. */
  abort(): void;
  /** For the log: "DATA (123 bytes)". */
  describe(): string;
}

/** Bytes of input that may wait while a command is worked on. */
const INPUT_LIMIT = 128 * 1024;
/** Bytes of replies that may wait for a client that does not read them. */
const OUTPUT_LIMIT = 64 * 1024;
/** Milliseconds for a client to take the last reply. */
const LINGER = 10_000;

/** Replies that end the session (RFC 5321 section 3.8; postconf(5) on 521). */
function hangsUp(reply: string): boolean {
  return reply.startsWith('421') || reply.startsWith('521');
}

export class Session implements Limited, ConnectionEvents, Heard {
  readonly context: SmtpdContext;
  readonly settings: SmtpdSettings;
  readonly connection: Connection;
  subject: Subject;
  transaction: Transaction | undefined;
  /** The last command, as `lost connection after …` names it. */
  where = 'CONNECT';
  /** The client said EHLO and may pipeline. */
  pipelining = false;
  /** The refusal that the client got at the start; every command but QUIT is answered with 503. */
  accessDenied = false;
  readonly errors: ClientErrors;
  readonly counts = new CommandCounts();
  /** EHLO keywords that this client is not offered. */
  discard: ReadonlySet<string>;
  /** Bare newlines of this client are as good as CRLF (smtpd_forbid_bare_newline_exclusions). */
  bareNewlineExcluded = false;
  /** A bare newline came, and smtpd_forbid_bare_newline asks for a note of that. */
  #sawBareNewline = false;
  /** Messages and recipients of this client are counted by anvil(8). */
  counted = false;
  mayXclient = false;
  mayXforward = false;
  /** What XFORWARD said of the client behind this one. */
  forwarded: ReadonlyMap<string, string> | undefined;
  /** BDAT chunks of the transaction. */
  chunking: Chunking | undefined;
  /** When the client has been idle for too long. */
  deadline = 0;
  heardIn = NEVER;
  /** Set by a command whose reply is the last one. */
  ending = false;

  readonly #input: LineBuffer;
  readonly #done: () => void;
  #output = '';
  #receiver: Receiver | undefined;
  #busy = false;
  #paused = false;
  #peerEnded = false;
  #closed = false;
  /** No further command is to be worked on. */
  #leaving = false;
  #greeted = false;
  /** The last reply is written, or on its way. */
  #hungUp = false;
  /** The header of the PROXY protocol has not come. */
  #proxied = false;

  constructor(context: SmtpdContext, settings: SmtpdSettings, connection: Connection, done: () => void) {
    this.context = context;
    this.settings = settings;
    this.connection = connection;
    this.#done = done;
    this.#input = new LineBuffer(settings.lineLengthLimit);
    this.discard = context.discard;
    this.errors = new ClientErrors(settings);
    this.subject = new Subject(NOBODY);
  }

  /** Serves the connection; resolves when it is closed. Never rejects. */
  static serve(context: SmtpdContext, settings: SmtpdSettings, connection: Connection): Promise<void> {
    return new Promise((resolve) => new Session(context, settings, connection, resolve).#start());
  }

  /** Nobody is there any more: what is still found out for the session is of no use. */
  get gone(): boolean {
    return this.#closed;
  }

  /** Nothing but CRLF counts as a line end of this client where it matters. */
  get standardNewlines(): boolean {
    return this.settings.bareNewline !== 'no' && !this.bareNewlineExcluded;
  }

  /** A line end without CR came from the client: whether that is an error. */
  refusesBareNewline(): boolean {
    if (this.bareNewlineExcluded) return false;
    const { bareNewline } = this.settings;
    if (bareNewline === 'note') this.#sawBareNewline = true;
    return bareNewline === 'reject';
  }

  get client(): string {
    return this.subject.clientNameAddress;
  }

  #start(): void {
    const now = performance.now();
    this.connection.serve(this);
    this.context.activeClients.heard(this, now);
    this.#restart(now);
    deadlines.watch(this);
    if (this.settings.upstreamProxyProtocol === '') this.#step(this.context.identify(this, undefined));
    else {
      this.#proxied = true;
      this.deadline = now + this.settings.upstreamProxyTimeout;
    }
  }

  /** Reads what the proxy in front says of its client, before anything else. */
  #readProxyHeader(): void {
    const header = readProxyHeader(this.#input.bytes.subarray(this.#input.at));
    if (header.kind === 'more') return;
    this.#proxied = false;
    if (header.kind === 'error') {
      const { remoteAddress, remotePort } = this.connection;
      this.context.log.warning(`haproxy read: ${header.error}: connection from ${remoteAddress}:${remotePort}`);
      this.ending = true;
      this.#hangUp();
      return;
    }
    this.#input.skipTo(this.#input.at + header.consumed);
    this.#restart();
    this.#step(this.context.identify(this, header.kind === 'addresses' ? header.addresses : undefined));
  }

  /** Puts another client in the place of the one that connected (XCLIENT, PROXY protocol). */
  identify(peer: Peer): void {
    this.subject = new Subject(peer);
  }

  /** Waits for the first thing that must be known, then greets. */
  #step(greeting: MaybePromise<string>): void {
    if (greeting instanceof Promise) {
      this.#busy = true;
      greeting.then(
        (text) => this.#greet(text),
        (error: unknown) => this.#broken(error),
      );
    } else this.#greet(greeting);
  }

  #greet(greeting: string): void {
    this.#busy = false;
    if (this.#closed) return;
    if (this.#input.length > 0) noteEarlyInput(this, 'CONNECT');
    this.#greeted = true;
    this.#reply(greeting);
    if (!this.ending && greeting.startsWith('220') === false) this.accessDenied = true;
    this.#pump();
  }

  /** The time for the next thing that the client does starts. */
  #restart(now = performance.now()): void {
    this.deadline = now + this.settings.timeout;
  }

  /** The client sent something. With smtpd_per_request_deadline, a request has one limit, longer for more content. */
  #touch(bytes: number, now: number): void {
    const { perRequestDeadline, minDataRate, timeout } = this.settings;
    if (!perRequestDeadline) this.#restart(now);
    else if (this.#receiver !== undefined) {
      this.deadline = Math.min(now + timeout, this.deadline + (bytes * 1000) / minDataRate);
    }
  }

  /** The client sent something. */
  data(bytes: Buffer): void {
    // What comes behind the last reply is of no interest, and must not pile up while that reply waits.
    if (this.#hungUp) return;
    const now = performance.now();
    this.context.activeClients.heard(this, now);
    this.#input.push(bytes);
    this.#received(bytes.length, now);
    this.#input.keep();
  }

  #received(octets: number, now: number): void {
    if (this.#proxied) {
      this.#readProxyHeader();
      return;
    }
    this.#touch(octets, now);
    if (this.#busy || !this.#greeted) {
      if (this.#input.length > INPUT_LIMIT) this.pauseInput();
      return;
    }
    this.#pump();
  }

  /** The client sends no more. */
  end(): void {
    this.#peerEnded = true;
    if (!this.#busy) this.#pump();
  }

  /** What the client sends from here on is not read: the connection counts as lost when what is at hand is answered. */
  endInput(): void {
    this.#input.clear();
    this.#peerEnded = true;
    this.pauseInput();
  }

  pauseInput(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.connection.pause();
  }

  resumeInput(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.connection.resume();
  }

  /** Works off what is at hand, and writes the replies. What is broken in a command ends its session alone. */
  #pump(): void {
    if (this.#leaving) {
      this.shutDown();
      return;
    }
    try {
      this.#workOff();
    } catch (error) {
      this.#broken(error);
    }
  }

  #workOff(): void {
    while (!this.#busy && !this.#closed && !this.ending) {
      if (this.connection.writableLength > OUTPUT_LIMIT) {
        this.pauseInput();
        return;
      }
      if (this.#receiver !== undefined) {
        const reply = this.#input.length === 0 ? undefined : this.#receiver.receive(this.#input);
        if (reply === undefined) break;
        this.#take(reply);
        continue;
      }
      const line = this.#input.line();
      if (line === undefined) break;
      this.#command(line);
    }
    if (this.#closed) return;
    if (this.ending) {
      if (!this.#busy) this.#hangUp();
      return;
    }
    if (this.#output !== '' && !this.#busy) this.flush();
    if (this.#busy) return;
    if (this.#peerEnded) this.#lost();
    else if (this.#receiver === undefined || this.#input.length < INPUT_LIMIT) this.resumeInputUnlessFull();
  }

  /** Reads on, unless whoever takes the content has enough. */
  resumeInputUnlessFull(): void {
    if (this.#paused && !this.contentFull()) this.resumeInput();
  }

  /** Replaced by whoever receives content. */
  contentFull: () => boolean = () => false;

  receiveWith(receiver: Receiver | undefined): void {
    this.#receiver = receiver;
    if (receiver === undefined) this.contentFull = NOT_FULL;
  }

  #command(line: string): void {
    const { context, settings } = this;
    if (this.#input.cut) {
      context.log.warning(
        `${this.client}: request longer than ${settings.lineLengthLimit}: ${printable(line.slice(0, 30))}...`,
      );
      this.#take(`500 5.5.2 ${settings.myhostname} Error: command too long`);
      return;
    }
    if (this.#input.bare && this.refusesBareNewline()) {
      context.log.info(`reject: bare <LF> received from ${this.client} in command after ${this.where}`);
      this.ending = true;
      this.countCommand('UNKNOWN', false);
      this.#reply(`${settings.bareNewlineRejectCode} 5.5.2 ${settings.myhostname} Error: bare <LF> received`);
      return;
    }
    const filtered = context.filterCommand(line);
    this.#take(filtered instanceof Promise ? filtered.then((text) => this.#run(text)) : this.#run(filtered));
  }

  /** Undefined: a command filter that could not be asked. */
  #run(line: string | undefined): MaybePromise<string> {
    if (line === undefined) return `421 4.3.0 ${this.settings.myhostname} Server local data error`;
    return runCommandLine(this, line);
  }

  /** Counts a command whose reply comes from a receiver, when it has it. */
  countedReply(name: string, reply: string): string;
  countedReply(name: string, reply: MaybePromise<string>): MaybePromise<string>;
  countedReply(name: string, reply: MaybePromise<string>): MaybePromise<string> {
    if (reply instanceof Promise) return reply.then((text) => this.countedReply(name, text));
    this.countCommand(name, reply.charCodeAt(0) < FOUR);
    return reply;
  }

  countCommand(name: string, good: boolean): void {
    this.counts.add((commands.get(name) ?? UNKNOWN_COMMAND).index, good);
  }

  /** Bytes that the client sent and that nobody has taken yet. */
  get inputWaiting(): number {
    return this.#input.length;
  }

  /** The first of them, for the log. */
  waitingSample(length: number): string {
    return this.#input.bytes.toString('latin1', this.#input.at, this.#input.at + length);
  }

  /** Takes a reply, or waits for one that is not there yet; refusals get their footer. */
  #take(reply: MaybePromise<string>): void {
    if (!(reply instanceof Promise)) {
      const whole = reply.charCodeAt(0) < FOUR ? reply : this.context.withFooter(this, reply);
      if (!(whole instanceof Promise)) {
        this.#reply(whole);
        return;
      }
      this.#await(whole);
      return;
    }
    this.#await(reply.then((text) => (text.charCodeAt(0) < FOUR ? text : this.context.withFooter(this, text))));
  }

  #await(reply: Promise<string>): void {
    this.#busy = true;
    reply.then(
      (text) => {
        this.#busy = false;
        if (this.#closed) return;
        this.#reply(text);
        this.#pump();
      },
      (error: unknown) => this.#broken(error),
    );
  }

  /** Queues a reply that asks the client to go on; it counts as no command's outcome. */
  promise(text: string): void {
    this.#output += `${text}\r\n`;
  }

  /** Queues a reply; slows down a client that makes many errors. */
  #reply(text: string): void {
    if (text === '') return;
    this.#output += text.endsWith('\n') ? text : `${text}\r\n`;
    if (hangsUp(text)) this.ending = true;
    const refused = text.charCodeAt(0) >= FOUR;
    if (refused) this.context.metrics.rejected(this.where);
    const how = this.errors.replied(refused);
    if (how === 'at once' || this.ending) return;
    if (how === 'slowly') this.#delay(this.settings.errorSleepTime);
    else {
      this.ending = true;
      this.#output += `421 4.7.0 ${this.settings.myhostname} Error: too many errors\r\n`;
      this.context.log.info(`too many errors after ${this.where} from ${this.client}`);
    }
  }

  /** Holds the replies that are queued back for a while. */
  #delay(milliseconds: number): void {
    this.#busy = true;
    const timer = setTimeout(() => {
      this.#busy = false;
      if (this.#closed) return;
      this.flush();
      this.#pump();
    }, milliseconds);
    timer.unref();
  }

  /** Writes the replies that are queued. */
  flush(last = false): void {
    const text = this.#output;
    if (this.#closed) return;
    if (!last) this.#restart();
    this.#output = '';
    const { connection } = this;
    // The connection ends when the reply is with the kernel, which sends it and then says that there is no more.
    const done = last ? () => connection.destroy() : undefined;
    if (text === '') done?.();
    else connection.write(text.isWellFormed() ? text : encodeBytes(text), done);
  }

  /** The client has taken what waited for it. */
  drain(): void {
    this.#restart();
    if (!this.#busy && this.#greeted) this.#pump();
  }

  /** The client is silent, or does not take what it is sent. */
  expire(): void {
    if (this.#closed) return;
    if (this.ending) {
      this.connection.destroy();
      return;
    }
    if (this.#busy) {
      this.#restart();
      return;
    }
    this.context.log.info(`timeout after ${this.#whereabouts()} from ${this.client}`);
    this.#output += `421 4.4.2 ${this.settings.myhostname} Error: timeout exceeded\r\n`;
    this.ending = true;
    this.#hangUp();
  }

  /** The grace period is over: the session ends when the command that is worked on has been answered. */
  shutDown(): void {
    if (this.#closed || this.ending) return;
    this.#leaving = true;
    if (this.#busy) return;
    this.#output += `421 4.3.2 ${this.settings.myhostname} Service shutting down\r\n`;
    this.ending = true;
    this.#hangUp();
  }

  #lost(): void {
    if (this.#closed || this.ending) return;
    this.context.log.info(`lost connection after ${this.#whereabouts()} from ${this.client}`);
    this.ending = true;
    this.#output = '';
    this.#hangUp();
  }

  #whereabouts(): string {
    return this.#receiver?.describe() ?? this.where;
  }

  /** Something of ours is broken: this session ends, the others go on. */
  #broken(error: unknown): void {
    this.#busy = false;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.context.log.error(`session of ${this.client}: ${text}`);
    if (this.#closed) return;
    this.#output += `421 4.3.0 ${this.settings.myhostname} Error: internal error\r\n`;
    this.ending = true;
    this.#hangUp();
  }

  /** Writes what is left and closes the connection. */
  #hangUp(): void {
    // Once: the last reply may still wait for the client to read, and must not be cut off by what the client does.
    if (this.#closed || this.#hungUp) return;
    this.#hungUp = true;
    this.deadline = performance.now() + LINGER;
    this.flush(true);
  }

  closed(): void {
    if (this.#closed) return;
    if (!this.ending) {
      this.context.log.info(`lost connection after ${this.#whereabouts()} from ${this.client}`);
      this.ending = true;
    }
    this.#closed = true;
    this.context.activeClients.gone(this, performance.now());
    deadlines.unwatch(this);
    if (this.#receiver !== undefined) {
      this.countCommand(this.where, false);
      this.#receiver.abort();
      this.#receiver = undefined;
    }
    this.chunking?.content?.abort('connection lost');
    this.chunking = undefined;
    this.transaction?.span?.end('session ended');
    this.transaction = undefined;
    this.#input.clear();
    if (this.#greeted || this.subject.peer !== NOBODY) {
      const notes = this.#sawBareNewline ? ' notes=bare_lf' : '';
      this.context.log.info(`disconnect from ${this.client}${this.counts.toString()}${notes}`);
    }
    this.context.disconnected(this);
    this.#done();
  }
}

const FOUR = 52;
const NOT_FULL = (): boolean => false;
