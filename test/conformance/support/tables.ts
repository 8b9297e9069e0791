/** What the adapters of the lookup tables share: a context that logs as Postfix's drivers do, and output in their order. */
import { readFileSync, writeSync } from 'node:fs';
import { type MaybePromise, type TableContext, TableError } from '../../../lib/tables/table.ts';
import { decodeBytes, encodeBytes } from '../../../lib/util/byte-text.ts';

/** Prints whole lines to standard output at once, so that they keep their place among the log lines. */
export function printLines(...lines: string[]): void {
  writeSync(1, encodeBytes(lines.map((line) => `${line}\n`).join('')));
}

/** A log line on standard error. */
export function logLine(program: string, text: string): void {
  writeSync(2, encodeBytes(`${program}: ${text}\n`));
}

/** Tables relative to the working directory, with this process' environment. */
export function adapterContext(program: string): TableContext {
  return {
    directory: process.cwd(),
    environment: process.env,
    warn: (text) => logLine(program, `warning: ${text}`),
    error: (text) => logLine(program, `error: ${text}`),
    signal: new AbortController().signal,
  };
}

/** The answer of a lookup, undefined where it is a temporary failure. */
export async function answerOf<T>(ask: () => MaybePromise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TableError) return undefined;
    throw error;
  }
}

/** Standard input without its last newline, line by line. */
export function inputLines(): string[] {
  const text = decodeBytes(readFileSync(0));
  if (text === '') return [];
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}
