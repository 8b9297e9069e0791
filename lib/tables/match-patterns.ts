/**
 * The patterns of a match list, with those of the files that it names in their places (`/file`), read again when one of the
 * files changes. A file that is away for a moment leaves the patterns as they are.
 */
import { readFileSync } from 'node:fs';
import { decodeBytes } from '../util/byte-text.ts';
import { caseFold } from '../util/case-fold.ts';
import { type CidrPattern, parseCidr } from '../util/ip-address.ts';
import { COMMA_OR_BLANK, splitOutsideBraces } from '../util/split.ts';
import { systemErrorText } from './file-value.ts';
import { logicalLines } from './logical-lines.ts';
import { openTable } from './open.ts';
import { WatchedFiles } from './reloading.ts';
import { logError, type MaybePromise, resolveFlags, type Table, type TableContext, type TableFlags } from './table.ts';
import { UnavailableTable } from './unavailable.ts';

/** One pattern of a list, read but not yet applied. */
export interface Pattern {
  readonly text: string;
  readonly negated: boolean;
  readonly table?: Table;
  /** Set where the text can only be meant for an address. */
  readonly address?: CidrPattern | { readonly error: string };
}

const MAX_FILE_DEPTH = 20;

export class PatternList {
  readonly #parameter: string;
  readonly #list: string;
  readonly #context: TableContext;
  readonly #flags: TableFlags | undefined;
  #files = new WatchedFiles();
  #patterns: readonly Pattern[] = [];
  #reading: Promise<readonly Pattern[]> | undefined;

  private constructor(parameter: string, list: string, context: TableContext, flags: TableFlags | undefined) {
    this.#parameter = parameter;
    this.#list = list;
    this.#context = context;
    this.#flags = flags;
  }

  static async open(
    parameter: string,
    list: string,
    context: TableContext,
    flags: TableFlags | undefined,
  ): Promise<PatternList> {
    const patterns = new PatternList(parameter, list, context, flags);
    await patterns.#read();
    return patterns;
  }

  /** The present patterns; a promise only while a changed file is being read. */
  current(): MaybePromise<readonly Pattern[]> {
    if (this.#reading !== undefined) return this.#reading;
    if (!this.#files.areChanged()) return this.#patterns;
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** The patterns as they were last read. */
  get last(): readonly Pattern[] {
    return this.#patterns;
  }

  async #read(): Promise<readonly Pattern[]> {
    const files = new WatchedFiles();
    const reading = { parameter: this.#parameter, context: this.#context, watch: (path: string) => files.add(path) };
    const items = [...flatten(reading, this.#list, false, 0)];
    this.#files = files;
    const old = new Map(this.#patterns.flatMap(({ text, table }) => (table === undefined ? [] : [[text, table]])));
    const patterns: Pattern[] = [];
    for (const { text, negated } of items) patterns.push(await this.#pattern(text, negated, old));
    this.#patterns = patterns;
    const kept = new Set(patterns.map(({ table }) => table));
    for (const table of old.values()) if (!kept.has(table)) await table.close();
    return patterns;
  }

  /** A table that was open before is the same. */
  async #pattern(text: string, negated: boolean, old: ReadonlyMap<string, Table>): Promise<Pattern> {
    if (text.startsWith(NO_SUCH_FILE)) {
      const path = text.slice(NO_SUCH_FILE.length);
      return { text, negated, table: missingFile(path, this.#context, this.#flags) };
    }
    if (!text.includes(':') || text.startsWith('[')) return plainPattern(caseFold(text), negated);
    return { text, negated, table: old.get(text) ?? (await openTable(text, this.#context, this.#flags)) };
  }

  async close(): Promise<void> {
    for (const { table } of this.#patterns) await table?.close();
  }
}

function plainPattern(text: string, negated: boolean): Pattern {
  // Only `[…]`, a slash, or nothing but digits and dots can be meant for an address; all else is a name.
  if (!/^\[|\/|^[\d.]+$/.test(text)) return { text, negated };
  return { text, negated, address: parseCidr(text) };
}

interface ListItem {
  readonly text: string;
  readonly negated: boolean;
}

const NO_SUCH_FILE = 'non-existent:';

/** What a list is read with. */
interface Reading {
  readonly parameter: string;
  readonly context: TableContext;
  /** Told of each file that is about to be read. */
  readonly watch: (path: string) => void;
}

/** The items of a list in order, those of `/file` in its place. */
function* flatten(reading: Reading, list: string, negated: boolean, depth: number): Generator<ListItem> {
  const { parameter, context } = reading;
  for (const item of splitOutsideBraces(list, COMMA_OR_BLANK)) {
    if (item.startsWith('#')) {
      context.warn(`${parameter}: #comment after other text is not allowed: ${item} ...`);
      return;
    }
    const text = item.replace(/^!+/, '');
    const opposite = negated !== ((item.length - text.length) % 2 === 1);
    if (text === '') context.warn(`${parameter}: no pattern after '!'`);
    else if (text.startsWith('/')) yield* fromFile(reading, text, opposite, depth);
    else yield { text, negated: opposite };
  }
}

function* fromFile(reading: Reading, path: string, negated: boolean, depth: number): Generator<ListItem> {
  const { context } = reading;
  let content: string | undefined;
  if (depth < MAX_FILE_DEPTH) {
    // Before it is read: a change in between is seen again, never missed.
    reading.watch(path);
    try {
      content = decodeBytes(readFileSync(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        context.warn(`open file ${path}: ${systemErrorText(error)}`);
    }
  }
  if (content === undefined) yield { text: NO_SUCH_FILE + path, negated };
  else {
    for (const line of logicalLines(content, path, context.warn)) {
      yield* flatten(reading, line.text, negated, depth + 1);
    }
  }
}

/** A list that names a file it cannot have must not answer as if the file were empty. */
function missingFile(path: string, context: TableContext, flags?: TableFlags): Table {
  const reason = `open file ${path}: No such file or directory`;
  logError(context, reason);
  return new UnavailableTable({ type: 'non-existent', name: path, context, flags: resolveFlags(flags) }, reason);
}
