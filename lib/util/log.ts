/**
 * Log lines: `postfix/smtpd[123]: QUEUEID: text` as syslog viewers, pflogsumm and fail2ban know them, or one JSON object
 * a line. Lines are collected and written to standard output by one write every few milliseconds, so a busy service
 * pays one system call for many lines; `flushLog` writes what is left before a process ends.
 *
 * Control characters in what is logged become `?`: no remote party can forge a line.
 *
 * Limits: where standard output is a pipe that nobody reads, the process waits there, as it does for any Unix program.
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

/** Writes all of it, waiting where a pipe is full. */
function writeAll(text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let from = 0;
  while (from < bytes.length) {
    try {
      from += writeSync(1, bytes, from);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      // Nobody reads: the reader has gone, or the terminal.
      else if (code === 'EPIPE' || code === 'EIO') return;
      else throw error;
    }
  }
}

/** Writes the lines that wait; a process calls it last. */
export function flushLog(): void {
  scheduled = false;
  if (pending.length === 0) return;
  const text = pending.join('');
  pending.length = 0;
  writeAll(text);
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

  constructor(options: LogOptions) {
    this.#options = options;
    this.#tag = ` ${HOST} ${options.program}[${process.pid}]: `;
  }

  #line(level: LogLevel, text: string): void {
    const { format, observe, program, write = writeSoon } = this.#options;
    observe?.(level, text);
    const safe = printable(text);
    if (format === 'json') {
      write(
        `${JSON.stringify({ time: new Date().toISOString(), level, host: HOST, program, pid: process.pid, message: safe })}\n`,
      );
      return;
    }
    const word = level === 'info' || level === 'debug' ? '' : `${level}: `;
    write(`${syslogTime()}${this.#tag}${word}${safe}\n`);
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
