/**
 * Log lines: `postfix/smtpd[123]: QUEUEID: text` as syslog viewers, pflogsumm and fail2ban know them, or one JSON object
 * a line. Lines are collected and written to standard output by one write every few milliseconds, so a busy service
 * pays one system call for many lines; `flushLog` writes what is left before a process ends.
 *
 * Control characters in what is logged become `?`: no remote party can forge a line.
 *
 * Limits: where standard output is a pipe that nobody reads, the process waits there, as it does for any Unix program. Where
 * it cannot be written (a full disk), lines are dropped and counted: a log costs no mail. The first line that can be written
 * again comes after a warning that says how many.
 */
import { writeSync } from 'node:fs';
import { hostname } from 'node:os';

export type LogLevel = 'debug' | 'info' | 'warning' | 'error' | 'fatal' | 'panic';

export interface Log {
  info(text: string): void;
  warning(text: string): void;
  error(text: string): void;
  /** Written only where the master.cf entry has `-v`. */
  debug(text: string): void;
  /** The same log under another program name: "postfix/smtp" → "postfix/relay". */
  child(program: string): Log;
}

export interface LogOptions {
  /** "postfix/smtpd" */
  program: string;
  format: 'postfix' | 'json';
  verbose?: boolean;
  /** Where lines go; standard output when it is left out. */
  write?: (lines: string) => void;
  /** Called for each line; tests fail on warnings that they did not declare. */
  observe?: (level: LogLevel, text: string) => void;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const HOST = hostname().split('.')[0] ?? 'localhost';

let stampSecond = -1;
let stampText = '';

/** "Nov 22 14:07:36", made once a second. */
function syslogTime(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== stampSecond) {
    const at = new Date(second * 1000);
    const two = (n: number) => String(n).padStart(2, '0');
    stampSecond = second;
    stampText = `${MONTHS[at.getMonth()]} ${String(at.getDate()).padStart(2)} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  }
  return stampText;
}

/** Milliseconds that a line waits for others. */
const DELAY = 10;

const pending: string[] = [];
let scheduled = false;
/** Lines that could not be written, and why the last of them could not. */
let dropped = 0;
let reason = '';
/** The last that was written stopped within a line. */
let torn = false;
/** Makes the line that tells of dropped ones as the last log to write would. */
let warningLine = (text: string): string => `${text}\n`;

/** Writes all of it, waiting where a pipe is full. Returns false where it cannot be written. */
function writeAll(text: string): boolean {
  const bytes = Buffer.from(text, 'utf8');
  let from = 0;
  while (from < bytes.length) {
    try {
      from += writeSync(1, bytes, from);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      // Nobody reads: the reader has gone, or the terminal.
      else if (code === 'EPIPE' || code === 'EIO') return true;
      else {
        if (from > 0) torn = bytes[from - 1] !== 0x0a;
        reason = error instanceof Error ? error.message : String(error);
        return false;
      }
    }
  }
  torn = false;
  return true;
}

/** Writes the lines that wait; a process calls it last. */
export function flushLog(): void {
  scheduled = false;
  if (pending.length === 0) return;
  const lines = pending.length;
  const told = dropped === 0 ? '' : warningLine(`${dropped} lines of the log could not be written: ${reason}`);
  const text = (torn ? '\n' : '') + told + pending.join('');
  pending.length = 0;
  if (writeAll(text)) dropped = 0;
  else dropped += lines;
}

function writeSoon(line: string): void {
  pending.push(line);
  if (scheduled) return;
  scheduled = true;
  setTimeout(flushLog, DELAY);
}

/** Replaces control characters, so that a line stays a line. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}

class LineLog implements Log {
  readonly #options: LogOptions;
  readonly #tag: string;
  readonly #warningLine = (text: string): string => this.#format('warning', text);

  constructor(options: LogOptions) {
    this.#options = options;
    this.#tag = ` ${HOST} ${options.program}[${process.pid}]: `;
  }

  #line(level: LogLevel, text: string): void {
    const { observe, write } = this.#options;
    observe?.(level, text);
    const line = this.#format(level, text);
    if (write !== undefined) {
      write(line);
      return;
    }
    warningLine = this.#warningLine;
    writeSoon(line);
  }

  #format(level: LogLevel, text: string): string {
    const { format, program } = this.#options;
    const safe = printable(text);
    if (format === 'json')
      return `${JSON.stringify({ time: new Date().toISOString(), level, host: HOST, program, pid: process.pid, message: safe })}\n`;
    const word = level === 'info' || level === 'debug' ? '' : `${level}: `;
    return `${syslogTime()}${this.#tag}${word}${safe}\n`;
  }

  info(text: string): void {
    this.#line('info', text);
  }

  warning(text: string): void {
    this.#line('warning', text);
  }

  error(text: string): void {
    this.#line('error', text);
  }

  debug(text: string): void {
    if (this.#options.verbose === true) this.#line('debug', text);
  }

  child(program: string): Log {
    return new LineLog({ ...this.#options, program });
  }
}

export function createLog(options: LogOptions): Log {
  return new LineLog(options);
}
