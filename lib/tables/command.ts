/**
 * What postmap(1) and postalias(1) do: build tables from their sources, change them, query and list them. The two differ
 * in the format of a source and in how they show an entry.
 *
 * Ends with 0, or with 1 where a query or deletion found nothing, and after an error, which is written to standard
 * error as `postmap: fatal: …`. A table that is being built or changed takes the place of the old one at the end, or not at
 * all.
 */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { defaultConfigDirectory, readEnvironment } from '../config/environment.ts';
import { Configuration } from '../config/settings.ts';
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';
import { caseFold } from '../util/case-fold.ts';
import { FatalError } from '../util/errors.ts';
import { type CommandDatabase, openCommandDatabase } from './command-database.ts';
import { type CommandOptions, type CommandSyntax, parseCommandLine } from './command-options.ts';
import { systemErrorText } from './file-value.ts';
import { readInLines } from './logical-lines.ts';
import { messageKeys } from './message-keys.ts';
import { INDEXED_TYPES, openTable } from './open.ts';
import { openPostgresWriter } from './postgres-writer.ts';
import type { SourceEntry, SourceOptions } from './postmap-source.ts';
import { isWritable, type Table, type TableContext, TableError, type TableFlags, TableOpenError } from './table.ts';
import { openIndexWriter, type TableWriter, type WriterOptions } from './table-writer.ts';

export interface CommandStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: { write(text: Buffer): unknown };
  readonly stderr: { write(text: Buffer): unknown };
  readonly environment: NodeJS.ProcessEnv;
}

/** What is particular to one of the commands. */
export interface TableCommand extends CommandSyntax {
  /** The entries of a source in this command's format. */
  entries(text: Iterable<string>, options: SourceOptions): Iterable<SourceEntry>;
  /** Between key and value where both are shown. */
  readonly separator: string;
}

/** Runs the command; the result is its exit status. */
export async function runTableCommand(
  command: TableCommand,
  argv: readonly string[],
  io: CommandStreams,
): Promise<number> {
  const log = (text: string): void => void io.stderr.write(encodeBytes(`${command.program}: ${text}\n`));
  const abort = new AbortController();
  try {
    const options = parseCommandLine(argv, command, log);
    const run = new CommandRun(command, options, io, log, abort.signal);
    return await run.run();
  } catch (error) {
    if (!(error instanceof FatalError) && !(error instanceof TableOpenError)) throw error;
    log(`fatal: ${error.message}`);
    return 1;
  } finally {
    abort.abort();
  }
}

/** How messages name a table, its source, and what was done to that. */
interface SourceNames {
  readonly spec: string;
  readonly file: string;
  readonly what: string;
}

class CommandRun {
  readonly #command: TableCommand;
  readonly #options: CommandOptions;
  readonly #io: CommandStreams;
  readonly #configuration: Configuration;
  readonly #database: CommandDatabase | undefined;
  readonly #context: TableContext;
  readonly #flags: TableFlags;
  /** Why a table, or one that it is made of, could not be opened. */
  #unopened: string | undefined;

  constructor(
    command: TableCommand,
    options: CommandOptions,
    io: CommandStreams,
    log: (text: string) => void,
    signal: AbortSignal,
  ) {
    this.#command = command;
    this.#options = options;
    this.#io = io;
    const environment = readEnvironment(io.environment);
    const directory = options.configDirectory ?? environment.configDirectory;
    // A folder that somebody named must be there. Where nobody did, a machine without /etc/postfix still has tables.
    const load = directory === defaultConfigDirectory ? Configuration.loadIfThere : Configuration.load;
    const configuration = load(directory, { environment: environment.parameters });
    this.#configuration = configuration;
    const warn = (text: string): void => log(`warning: ${text}`);
    this.#database = openCommandDatabase(configuration.text('postfleet_postgres_url'), { warn });
    this.#context = {
      directory: process.cwd(),
      environment: io.environment,
      warn,
      ...(this.#database === undefined ? {} : { database: this.#database.rows }),
      // A table that cannot be opened ends the command, with its reason in the last line.
      error: (text) => {
        this.#unopened ??= text;
      },
      signal,
      parameter: (name) => (configuration.set(name) ? configuration.text(name) : undefined),
    };
    // Lines of a message are of any kind: -b and -h look them up as they are, unless -U asks for the check.
    const takesAnyBytes = (options.headerKeys || options.bodyKeys) && !options.forceUtf8;
    this.#flags = {
      foldFixed: options.foldKeys,
      valueIsFile: options.valueIsFile,
      utf8: configuration.boolean('smtputf8_enable') && !options.withoutUtf8 && !takesAnyBytes,
    };
  }

  async run(): Promise<number> {
    try {
      await this.#database?.prepare();
      return await this.#runMode();
    } finally {
      await this.#database?.close();
    }
  }

  async #runMode(): Promise<number> {
    const { mode } = this.#options;
    switch (mode.kind) {
      case 'create':
        for (const spec of this.#specs()) await this.#create(spec);
        return 0;
      case 'incremental':
        for (const spec of this.#specs()) await this.#incremental(spec);
        return 0;
      case 'list':
        for (const spec of this.#specs()) await this.#list(spec);
        return 0;
      case 'query':
        return (await this.#query(mode.key)) ? 0 : 1;
      case 'delete':
        return (await this.#delete(mode.key)) ? 0 : 1;
    }
  }

  /** The tables of the command line; one without a type has that of default_database_type. */
  #specs(): string[] {
    const type = this.#configuration.text('default_database_type');
    return this.#options.tables.map((table) => (table.includes(':') ? table : `${type}:${table}`));
  }

  #print(text: string): void {
    this.#io.stdout.write(encodeBytes(`${text}\n`));
  }

  #show(key: string, value: string): void {
    const shown = this.#options.valueIsFile ? decodeBytes(Buffer.from(value, 'base64')) : value;
    if (this.#options.json) this.#print(`{${JSON.stringify(key)}: ${JSON.stringify(shown)}}`);
    else this.#print(`${key}${this.#command.separator}${shown}`);
  }

  async #create(spec: string): Promise<void> {
    const { name } = splitSpec(spec);
    const source = resolve(this.#context.directory, name);
    requireFile(source, name);
    await using writer = await this.#writer(spec, 'create');
    await this.#fill(writer, readInLines(source), { spec, file: name, what: `open ${name}` });
  }

  async #incremental(spec: string): Promise<void> {
    const text = await readAll(this.#io.stdin);
    await using writer = await this.#writer(spec, 'change');
    await this.#fill(writer, [decodeBytes(text)], { spec, file: 'stdin', what: 'read stdin' });
  }

  async #fill(writer: TableWriter, text: Iterable<string>, names: SourceNames): Promise<void> {
    const { spec, file, what } = names;
    const flags = {
      foldFixed: this.#options.foldKeys,
      utf8: this.#flags.utf8 ?? true,
      valueIsFile: this.#options.valueIsFile,
    };
    const options = { file, directory: this.#context.directory, flags, warn: this.#context.warn, brief: true };
    try {
      for (const { key, value } of this.#command.entries(text, options)) {
        if (key === '') this.#context.warn(`table ${spec}: empty lookup key value is not allowed`);
        const stored = writer.put(key, value);
        if (stored !== undefined) await stored;
      }
      await writer.commit();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      throw new FatalError(`${what}: ${systemErrorText(error)}`);
    }
  }

  async #writer(spec: string, mode: WriterOptions['mode']): Promise<TableWriter> {
    const { type, name } = splitSpec(spec);
    if (!INDEXED_TYPES.has(type)) {
      throw new FatalError(`unsupported dictionary type: ${type} does not support bulk-mode creation.`);
    }
    const { duplicates, defaultMode, keepPrivileges } = this.#options;
    const options = { mode, duplicates, defaultMode, keepPrivileges, warn: this.#context.warn };
    try {
      if (this.#database !== undefined) {
        return await openPostgresWriter(this.#database.pool, resolve(this.#context.directory, name), {
          ...options,
          label: name,
        });
      }
      return await openIndexWriter(resolve(this.#context.directory, name), name, options);
    } catch (error) {
      throw new FatalError(`open database ${name}: ${systemErrorText(error)}`);
    }
  }

  async #open(spec: string): Promise<Table> {
    const table = await openTable(spec, this.#context, this.#flags);
    if (this.#unopened === undefined) return table;
    await table.close();
    throw new FatalError(this.#unopened);
  }

  async #list(spec: string): Promise<void> {
    await using table = await this.#open(spec);
    const unsupported = new FatalError(`table ${spec}: sequence operation is not supported`);
    if (table.entries === undefined) throw unsupported;
    try {
      for await (const [key, value] of table.entries()) this.#show(key, value);
    } catch (error) {
      throw this.#failure(table, 'sequence', error);
    }
  }

  async #query(key: string): Promise<boolean> {
    await using stack = new AsyncDisposableStack();
    const tables: Table[] = [];
    for (const spec of this.#specs()) tables.push(stack.use(await this.#open(spec)));
    if (key !== '-') {
      const value = await this.#lookup(tables, key);
      if (value !== undefined && this.#options.json) this.#show(key, value);
      else if (value !== undefined) this.#print(this.#plain(value));
      return value !== undefined;
    }
    let found = false;
    for (const each of await this.#keysFromInput()) {
      const value = await this.#lookup(tables, each);
      if (value === undefined) continue;
      this.#show(each, value);
      found = true;
    }
    return found;
  }

  #plain(value: string): string {
    return this.#options.valueIsFile ? decodeBytes(Buffer.from(value, 'base64')) : value;
  }

  async #lookup(tables: readonly Table[], key: string): Promise<string | undefined> {
    for (const table of tables) {
      try {
        const value = await table.lookup(key);
        if (value === '') {
          this.#context.warn(`table ${table.type}:${table.name}: key ${key}: empty string result is not allowed`);
          this.#context.warn(`table ${table.type}:${table.name} should return NO RESULT in case of NOT FOUND`);
        }
        if (value !== undefined) return value;
      } catch (error) {
        throw this.#failure(table, 'query', error);
      }
    }
    return undefined;
  }

  #failure(table: Table, operation: string, error: unknown): unknown {
    if (!(error instanceof TableError)) return error;
    return new FatalError(`table ${table.type}:${table.name}: ${operation} error: ${error.message}`);
  }

  async #keysFromInput(): Promise<Iterable<string>> {
    const input = await readAll(this.#io.stdin);
    if (this.#options.headerKeys || this.#options.bodyKeys) {
      return messageKeys(input, {
        headers: this.#options.headerKeys,
        body: this.#options.bodyKeys,
        mime: this.#options.mime,
        headerSizeLimit: this.#configuration.integer('header_size_limit'),
        nestingLimit: this.#configuration.integer('mime_nesting_limit'),
        boundaryLengthLimit: this.#configuration.integer('mime_boundary_length_limit'),
      });
    }
    if (this.#options.mime) this.#context.warn('ignoring -m option without -b or -h');
    const text = decodeBytes(input);
    if (text === '') return [];
    return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
  }

  async #delete(key: string): Promise<boolean> {
    const keys = key === '-' ? [...(await this.#keysFromInput())] : [key];
    let found = false;
    for (const spec of this.#specs()) {
      if ((await this.#deleteFrom(spec, keys)) > 0) found = true;
    }
    return found;
  }

  /** Number of keys that were in the table. */
  async #deleteFrom(spec: string, keys: readonly string[]): Promise<number> {
    if (INDEXED_TYPES.has(splitSpec(spec).type)) {
      await using writer = await this.#writer(spec, 'change');
      const count = await this.#deleteKeys(keys, (key) => writer.delete(this.#folded(key)));
      if (count > 0) await writer.commit();
      return count;
    }
    await using table = await this.#open(spec);
    if (!isWritable(table)) {
      // Postfix opens these two for writing, and refuses each write; the other types cannot be opened so.
      const refuses = table.type === 'static' || table.type === 'environ';
      throw new FatalError(
        refuses ? `table ${spec}: delete operation is not supported` : `${spec} map requires O_RDONLY access mode`,
      );
    }
    try {
      return await this.#deleteKeys(keys, (key) => table.delete(key));
    } catch (error) {
      throw this.#failure(table, 'delete', error);
    }
  }

  async #deleteKeys(keys: readonly string[], remove: (key: string) => boolean | Promise<boolean>): Promise<number> {
    let count = 0;
    for (const key of keys) if (await remove(key)) count += 1;
    return count;
  }

  #folded(key: string): string {
    return this.#options.foldKeys ? caseFold(key, this.#flags.utf8) : key;
  }
}

/** Throws FatalError where the source is not there, before anything is said of the table that it is for. */
function requireFile(path: string, name: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new FatalError(`open ${name}: ${systemErrorText(error)}`);
  }
}

function splitSpec(spec: string): { type: string; name: string } {
  const colon = spec.indexOf(':');
  return { type: spec.slice(0, colon), name: spec.slice(colon + 1) };
}

async function readAll(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(typeof chunk === 'string' ? encodeBytes(chunk) : (chunk as Buffer));
  return Buffer.concat(chunks);
}
