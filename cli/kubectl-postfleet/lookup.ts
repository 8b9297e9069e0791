/**
 * `kubectl postfleet lookup`: asks a lookup table of the MailServer, by `postmap -q` in one of its pods, where files and
 * databases are those of the services.
 */
import { EX, FatalError } from '../../lib/util/errors.ts';
import { writeTo } from '../../lib/util/write-stream.ts';
import { usage } from './options.ts';
import type { PluginCommand } from './plugin-command.ts';
import { type RemoteOptions, remoteOutput } from './remote-command.ts';

const PARAMETER = /^[a-z0-9_]+$/;
const NOT_FOUND = 1;

export interface Found {
  readonly key: string;
  /** The table that had it; undefined where none has. */
  readonly table: string | undefined;
  readonly value: string | undefined;
}

export const lookup: PluginCommand = {
  name: 'lookup',
  summary: 'look keys up in a table',
  synopsis: '{TABLE | PARAMETER} KEY…',
  help: `TABLE is type:name as in main.cf, such as hash:/etc/postfix/virtual; PARAMETER one whose value is a list of tables, such as
virtual_alias_maps: they are asked in turn, and the first that has the key answers.

  kubectl postfleet lookup virtual_alias_maps postmaster@example.org

Keys are asked as they are: no parts of an address are tried in its place.
Exit status: 0 where all were found, 1 where one was not.`,
  options: {},
  validate({ operands }) {
    const [table, ...keys] = operands;
    if (table === undefined || keys.length === 0) throw usage('say a table and a key');
    if (!table.includes(':') && !PARAMETER.test(table)) throw usage(`"${table}" is neither type:name nor a parameter`);
    if (keys.some((key) => key === '' || key === '-' || key.startsWith('-')))
      throw usage('a key is empty or begins with "-"');
  },
  async run({ request, cluster, mailServer, io }) {
    const options = { cluster, mailServer: mailServer.metadata.name, stderr: io.stderr };
    const [where = '', ...keys] = request.operands;
    const tables = where.includes(':') ? [where] : await tablesOf(options, where);
    const results: Found[] = [];
    for (const key of keys) results.push(await find(options, tables, key));
    const json = request.output === 'json';
    await writeTo(io.stdout, json ? `${JSON.stringify(results)}\n` : render(results, tables.length > 1));
    return results.every(({ table }) => table !== undefined) ? EX.OK : NOT_FOUND;
  },
};

async function tablesOf(options: RemoteOptions, parameter: string): Promise<string[]> {
  const { status, output } = await remoteOutput(options, { argv: ['postconf', '-hx', parameter] });
  const tables = splitTables(output);
  if (status !== EX.OK || tables.length === 0) throw usage(`${parameter} names no tables`);
  return tables;
}

/** "hash:/a, inline:{ x=y, z=w } static:b" as its tables: separators within braces are part of a table. */
export function splitTables(value: string): string[] {
  const tables: string[] = [];
  let depth = 0;
  let table = '';
  for (const character of `${value.trim()} `) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (depth > 0 || !/[\s,]/.test(character)) table += character;
    else if (table !== '') {
      tables.push(table);
      table = '';
    }
  }
  return tables.filter((name) => name.includes(':'));
}

async function find(options: RemoteOptions, tables: readonly string[], key: string): Promise<Found> {
  for (const table of tables) {
    const { status, output } = await remoteOutput(options, { argv: ['postmap', '-q', key, table] });
    if (status === EX.OK) return { key, table, value: output.replace(/\n$/, '') };
    // 1 without a word is "not found"; whatever else is wrong stands on standard error.
    if (status !== NOT_FOUND) {
      throw new FatalError(`${table} cannot be asked (status ${status})`, { exitCode: EX.UNAVAILABLE });
    }
  }
  return { key, table: undefined, value: undefined };
}

function render(results: readonly Found[], several: boolean): string {
  return results
    .map(({ key, table, value }) => {
      if (table === undefined) return `${key}\t(not found)\n`;
      return several ? `${key}\t${value}\t(${table})\n` : `${key}\t${value}\n`;
    })
    .join('');
}
