/** dict_open TYPE:NAME MODE [FLAGS]: opens a table and does what standard input says: get, put, del, first, next. */
import { chownSync, readdirSync, statSync } from 'node:fs';
import { openTable } from '../../../lib/tables/open.ts';
import { isWritable, type ResolvedFlags, type Table, type TableFlags } from '../../../lib/tables/table.ts';
import { decodeBytes } from '../../../lib/util/byte-text.ts';
import { adapterContext, answerOf, inputLines, printLines } from '../support/tables.ts';

const ORDINARY_USER = 65534;

/** The cases were made by an ordinary user who owned the files and ran the driver; where root runs it, the files are given away. */
function ordinaryUser(): number {
  const user = process.getuid?.() ?? ORDINARY_USER;
  if (user !== 0) return user;
  for (const name of readdirSync('.')) if (statSync(name).isFile()) chownSync(name, ORDINARY_USER, ORDINARY_USER);
  return ORDINARY_USER;
}

const FLAG_NAMES: Readonly<Record<string, TableFlags>> = {
  fold_fix: { foldFixed: true },
  fold_mul: { foldPatterns: true },
  utf8_request: { utf8: true },
  src_rhs_is_file: { valueIsFile: true },
  no_regsub: { noSubstitution: true },
  no_proxy: { noProxy: true },
  no_unauth: { noUnauthenticated: true },
};

/** Backslash escapes of C in a key or value. */
function unescapeC(text: string): string {
  const letters: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  return text.replace(/\\([0-7]{1,3}|.)/g, (_, escaped: string) =>
    /^[0-7]/.test(escaped) ? decodeBytes(Buffer.of(Number.parseInt(escaped, 8))) : (letters[escaped] ?? escaped),
  );
}

function showFlags(table: Table, flags: Pick<ResolvedFlags, 'foldFixed' | 'foldPatterns' | 'utf8'>): string {
  const names = [table.partialKeys ? 'fixed' : 'pattern', 'lock', 'dup_replace'];
  if (flags.foldFixed) names.push('fold_fix');
  if (flags.foldPatterns) names.push('fold_mul');
  if (flags.utf8) names.push('utf8_request', 'utf8_active');
  return `dict flags ${names.join('|')}`;
}

const [spec = '', , flagList = ''] = process.argv.slice(2);
const flags = Object.assign(
  { foldFixed: false, foldPatterns: false, utf8: false },
  ...flagList.split(',').map((name) => FLAG_NAMES[name] ?? {}),
);
// The driver always enables UTF-8; only what its `flags` command prints depends on the request.
const context = adapterContext('dict_open');
const lines = inputLines();
await using table = await openTable(spec, { ...context, userId: ordinaryUser() }, flags);
printLines(`owner=${table.owner.status} (uid=${table.owner.uid})`);

let cursor: AsyncIterator<readonly [string, string]> | Iterator<readonly [string, string]> | undefined;

async function next(restart: boolean): Promise<string> {
  if (restart || cursor === undefined) {
    const entries = table.entries?.() ?? [];
    cursor = Symbol.asyncIterator in entries ? entries[Symbol.asyncIterator]() : entries[Symbol.iterator]();
  }
  const found = await cursor.next();
  return found.done === true ? 'not found' : `${found.value[0]}=${found.value[1]}`;
}

async function run(line: string): Promise<string | undefined> {
  const [, command = '', rest = ''] = /^(\S*)\s*(.*)$/.exec(line) ?? [];
  const key = unescapeC(rest);
  switch (command) {
    case 'get': {
      const answer = await answerOf(async () => ({ value: await table.lookup(key) }));
      if (answer === undefined) return `${key}: error`;
      return answer.value === undefined ? `${key}: not found` : `${key}=${answer.value}`;
    }
    case 'put': {
      const [, name = '', value = ''] = /^([^=\s]+)[=\s]\s*(.*)$/.exec(rest) ?? [];
      if (isWritable(table)) await table.put(unescapeC(name), unescapeC(value));
      return undefined;
    }
    case 'del': {
      if (!isWritable(table)) return `${key}: error`;
      const { delete: remove } = table;
      const answer = await answerOf(async () => await remove.call(table, key));
      return `${key}: ${answer === undefined ? 'error' : answer ? 'deleted' : 'not found'}`;
    }
    case 'first':
    case 'next':
      return await next(command === 'first');
    case 'flags':
      return showFlags(table, flags);
    case 'verbose':
      return undefined;
    default:
      return 'usage: verbose|del key|get key|put key=value|first|next|masks|flags';
  }
}

for (const line of lines) {
  if (line.startsWith('#')) continue;
  printLines(`> ${line}`);
  const output = await run(line);
  if (output !== undefined) printLines(output);
}
