/**
 * make bench-tables: how long a million rows take to load, and how many lookups a second there are, uniform over two million
 * keys of which half are in the table. In the same run Debian's Postfix does the same with lmdb, where it is installed.
 *
 * ROWS= and LOOKUPS= change the sizes. Memory is the largest resident set of the process that loads.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openTable } from '../../lib/tables/open.ts';
import { PostgresRows } from '../../lib/tables/postgres-rows.ts';
import type { Table, TableContext } from '../../lib/tables/table.ts';
import { startPostgres } from '../support/postgres.ts';

const ROWS = Number(process.env.ROWS ?? 1_000_000);
const LOOKUPS = Number(process.env.LOOKUPS ?? 1_000_000);
const DEBIAN_POSTMAP = '/usr/sbin/postmap';
const run = promisify(execFile);

const key = (number: number): string => `user${number}@domain${number % 1000}.example.com`;
const randomKey = (): string => key(Math.floor(Math.random() * ROWS * 2));
const report = (what: string, figure: string): void => console.log(`${what.padEnd(58)} ${figure}`);
const rate = (count: number, ms: number): string => Math.round((count / ms) * 1000).toLocaleString('en');
/** The second figure does not depend on what else the machine does. */
const perSecond = (count: number, ms: number, cpuMs?: number): string =>
  `${rate(count, ms)}/s${cpuMs === undefined ? '' : `, ${rate(count, cpuMs)} for each second of CPU`}`;

async function writeSource(path: string): Promise<void> {
  const file = createWriteStream(path);
  for (let number = 0; number < ROWS; number++) {
    if (!file.write(`${key(number)}\tmailbox${number}@store${number % 50}.example.com\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

/** Seconds that a command takes, and its largest resident set in megabytes. */
async function timed(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ seconds: number; megabytes: number }> {
  const start = performance.now();
  const child = spawn('/usr/bin/env', ['sh', '-c', '"$@"; code=$?; exit $code', 'sh', command, ...args], {
    cwd,
    stdio: 'inherit',
  });
  let megabytes = 0;
  const watch = setInterval(
    () => void residentSet(child.pid!).then((size) => (megabytes = Math.max(megabytes, size))),
    100,
  );
  const [code] = (await once(child, 'exit')) as [number];
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
  return { seconds: (performance.now() - start) / 1000, megabytes };
}

async function residentSet(parent: number): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'rss=', '--ppid', String(parent)]).catch(() => ({ stdout: '0' }));
  return Number(stdout.trim().split('\n')[0]) / 1024;
}

/** Lookups as a busy service makes them: at once where the answer is there, many under way where it is not. */
async function measure(table: Table, count: number): Promise<{ ms: number; cpuMs: number; found: number }> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  let found = 0;
  const inFlight = new Set<Promise<void>>();
  for (let lookup = 0; lookup < count; lookup++) {
    const value = table.lookup(randomKey());
    if (value instanceof Promise) {
      const counted: Promise<void> = value.then((late) => {
        if (late !== undefined) found += 1;
        inFlight.delete(counted);
      });
      inFlight.add(counted);
      if (inFlight.size >= 1000) await Promise.race(inFlight);
    } else if (value !== undefined) found += 1;
  }
  await Promise.all(inFlight);
  const used = process.cpuUsage(cpu);
  return { ms: performance.now() - start, cpuMs: (used.user + used.system) / 1000, found };
}

function checkFound(found: number, count: number): void {
  if (Math.abs(found / count - 0.5) > 0.05) throw new Error(`${found} of ${count} keys found, half expected`);
}

async function benchIndex(folder: string, context: TableContext): Promise<void> {
  const load = await timed(process.execPath, [postmap, '-c', folder, 'hash:virtual'], folder);
  report('postmap, index file: load', `${load.seconds.toFixed(1)} s, ${load.megabytes.toFixed(0)} MB`);
  await using table = await openTable(`hash:${join(folder, 'virtual')}`, context);
  for (const round of ['first', 'again']) {
    const { ms, cpuMs, found } = await measure(table, LOOKUPS);
    checkFound(found, LOOKUPS);
    report(`index file: lookups, ${round}`, perSecond(LOOKUPS, ms, cpuMs));
  }
}

async function benchPostgres(folder: string, context: TableContext): Promise<void> {
  await using server = await startPostgres({ durable: true });
  await using database = await server.createDatabase();
  const config = join(folder, 'fleet');
  await mkdir(config);
  await writeFile(join(config, 'main.cf'), `postfleet_postgres_url = ${database.url}\n`);
  for (const round of ['load', 'load the same again']) {
    const load = await timed(process.execPath, [postmap, '-c', config, 'hash:virtual'], folder);
    report(`postmap, Postgres: ${round}`, `${load.seconds.toFixed(1)} s, ${load.megabytes.toFixed(0)} MB`);
  }
  const rows = new PostgresRows({
    pool: database.pool,
    connectionString: database.url,
    warn: context.warn,
    folder: join(folder, 'copies'),
  });
  const started = performance.now();
  const table = await openTable(`hash:${join(folder, 'virtual')}`, { ...context, database: rows });
  const cold = await measure(table, Math.ceil(LOOKUPS / 20));
  checkFound(cold.found, Math.ceil(LOOKUPS / 20));
  report('Postgres: lookups while the copy is being made', perSecond(Math.ceil(LOOKUPS / 20), cold.ms));
  while (table.lookup(key(1)) instanceof Promise) await delay(20);
  report('Postgres: copy ready after', `${((performance.now() - started) / 1000).toFixed(1)} s`);
  const warm = await measure(table, LOOKUPS);
  checkFound(warm.found, LOOKUPS);
  report('Postgres: lookups in the copy', perSecond(LOOKUPS, warm.ms, warm.cpuMs));
  report('memory of the process with the copy', `${(process.memoryUsage().rss / 1048576).toFixed(0)} MB`);
  await database.pool.query(
    "update lookup_row set value = 'changed' where table_id = lookup_table_id($1) and key = $2",
    [join(folder, 'virtual'), key(1)],
  );
  const changed = performance.now();
  while ((await table.lookup(key(1))) !== 'changed') await delay(1);
  report('Postgres: a changed row is seen after', `${(performance.now() - changed).toFixed(0)} ms`);
  await table.close();
}

async function benchDebian(folder: string): Promise<void> {
  if (!existsSync(DEBIAN_POSTMAP)) {
    report('Debian postmap', 'not installed');
    return;
  }
  const config = join(folder, 'debian');
  await mkdir(config);
  await writeFile(join(config, 'main.cf'), 'lmdb_map_size = 1073741824\ncompatibility_level = 3.6\n');
  const load = await timed(DEBIAN_POSTMAP, ['-c', config, `lmdb:${join(folder, 'virtual')}`], folder);
  report('Debian postmap, lmdb: load', `${load.seconds.toFixed(1)} s, ${load.megabytes.toFixed(0)} MB`);
  const keys = join(folder, 'keys');
  const file = createWriteStream(keys);
  for (let lookup = 0; lookup < LOOKUPS; lookup++) if (!file.write(`${randomKey()}\n`)) await once(file, 'drain');
  file.end();
  await once(file, 'finish');
  const command = `exec ${DEBIAN_POSTMAP} -c "$1" -q - "$2" <"$3" >/dev/null`;
  for (const round of ['first', 'again']) {
    const { seconds } = await timed(
      'sh',
      ['-c', command, 'sh', config, `lmdb:${join(folder, 'virtual')}`, keys],
      folder,
    );
    report(`Debian postmap -q, lmdb: lookups, ${round}`, perSecond(LOOKUPS, seconds * 1000));
  }
}

const postmap = join(import.meta.dirname, '../conformance/adapters/postmap.ts');
const folder = await mkdtemp(join(tmpdir(), 'postfleet-bench-tables-'));
const abort = new AbortController();
try {
  await writeFile(join(folder, 'main.cf'), '');
  await writeSource(join(folder, 'virtual'));
  console.log(
    `${ROWS.toLocaleString('en')} rows; keys uniform over ${(ROWS * 2).toLocaleString('en')}, half of them absent`,
  );
  const context = { directory: folder, warn: (text: string) => console.log(`warning: ${text}`), signal: abort.signal };
  await benchIndex(folder, context);
  await benchPostgres(folder, context);
  await benchDebian(folder);
} finally {
  abort.abort();
  await rm(folder, { recursive: true, force: true });
}
