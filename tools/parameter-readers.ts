/**
 * Finds out which services and commands read each parameter, and writes the column "read by" of lib/config/table:
 * `node tools/parameter-readers.ts`. A test fails where the column says something else than the code.
 *
 * A service reads what it declares, and what its source or a library that it imports names in quotes; so does a command.
 * What the parts that start services name counts for all. A parameter that the default of another refers to is read
 * wherever that other is.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SERVICES } from '../bin/services.ts';
import { namesIn } from '../lib/config/expand.ts';
import { comparisons, functions } from '../lib/config/expressions.ts';
import { noEffect } from '../lib/config/no-effect.ts';
import { parameters, transportParameters } from '../lib/config/parameters.ts';

const root = new URL('..', import.meta.url).pathname;

/** Files that name parameters without reading them, or only to say what is wrong with them. */
const describing =
  /^lib\/config\/(table\/|(no-effect|client-refusals|check|deprecated|old-names|parameters|database-parameters|settings|unused)\.ts$)|\.test\.ts$/;

/** Who reads what every service is started with. */
const everyone = 'all';

/** Parameters that the defaults of others are derived from in lib/config/host.ts. */
const derivedFrom: Readonly<Record<string, readonly string[]>> = {
  myhostname: ['mydomain'],
  mydomain: ['myhostname'],
  mynetworks: ['mynetworks_style', 'inet_interfaces', 'inet_protocols'],
};

/** Facts of the process and the program, which any expression may use. */
const ofProcess = ['config_directory', 'mail_release_date', 'process_id', 'process_name', 'service_name'];

/** Parameters whose default names others for the tables that they list, without reading them for their own sake. */
const listing: ReadonlySet<string> = new Set(['proxy_read_maps', 'proxy_write_maps']);

interface Source {
  readonly names: readonly string[];
  /** Files of the project that it imports as values, relative to the root. */
  readonly imports: readonly string[];
}

const sources = new Map<string, Source>();

function readSource(file: string): Source {
  const known = sources.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(root + file, 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from '(\.[^']+)'|import\('(\.[^']+)'\)/gm);
  const imports = [...statements].map(([, fixed, dynamic]) => join(dirname(file), (fixed ?? dynamic)!));
  const source = {
    names: describing.test(file) ? [] : namedIn(text),
    imports: imports.filter((one) => existsSync(root + one)),
  };
  sources.set(file, source);
  return source;
}

/** The files given and all libraries that they import, directly or not; services and commands stay apart. */
function withLibraries(files: readonly string[]): Set<string> {
  const reached = new Set(files);
  for (const file of reached)
    for (const imported of readSource(file).imports) if (imported.startsWith('lib/')) reached.add(imported);
  return reached;
}

function filesOf(folder: string): string[] {
  return globSync(`${folder}/**/*.ts`, { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
}

/** Parameters that a source names in quotes, and the defaults behind `${transport}_…` names that it puts together. */
function namedIn(source: string): string[] {
  const quoted = [...source.matchAll(/['"`]([A-Za-z0-9_]+)['"`]/g)].map(([, name]) => name!);
  const composed = [...source.matchAll(/['"`}]_?([a-z_]+)['"`]/g)].flatMap(([, suffix]) => {
    const fallback = transportParameters.get(suffix!);
    return fallback === undefined ? [] : [fallback, ...composedNames(fallback)];
  });
  return [...quoted, ...composed].filter((name) => parameters.has(name));
}

/** Readers of each parameter, in order of the alphabet; `all` alone where it is among them. */
export async function parameterReaders(): Promise<Map<string, string[]>> {
  const readers = new Map([...parameters.keys()].map((name) => [name, new Set<string>()] as const));
  const addAll = (files: Iterable<string>, reader: string): void => {
    for (const file of files) for (const name of readSource(file).names) readers.get(name)!.add(reader);
  };
  for (const folder of globSync(['services/*', 'cli/*', 'operator'], { cwd: root })) {
    addAll(withLibraries(filesOf(folder)), folder.split('/').at(-1)!);
  }
  addAll(withLibraries(filesOf('bin')), everyone);
  for (const name of ofProcess) readers.get(name)!.add(everyone);
  for (const [daemon, load] of SERVICES) {
    for (const name of (await load()).parameters) readers.get(name)?.add(daemon === 'lmtp' ? 'smtp' : daemon);
  }
  passOn(readers);
  return new Map([...readers].map(([name, set]) => [name, set.has(everyone) ? [everyone] : [...set].sort()]));
}

/** Parameters in the table that a `${transport}_…` name may come out as, such as those of local. */
function composedNames(fallback: string): string[] {
  const suffixes = [...transportParameters].flatMap(([suffix, target]) => (target === fallback ? [suffix] : []));
  return [...parameters.keys()].filter((name) => suffixes.some((suffix) => name === `local_${suffix}`));
}

/** What is read reads the parameters in its default. */
function passOn(readers: ReadonlyMap<string, Set<string>>): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const [name, of] of readers) {
      if (listing.has(name)) continue;
      const inDefault = namesIn(parameters.get(name)!.defaultValue, { functions, comparisons });
      for (const reference of [...inDefault, ...(derivedFrom[name] ?? [])]) {
        const target = readers.get(reference);
        for (const reader of of) {
          if (target === undefined || target.has(reader)) continue;
          target.add(reader);
          changed = true;
        }
      }
    }
  }
}

/** Parameters whose reason for having no effect is wrong, because something reads them. */
export function contradictions(readers: ReadonlyMap<string, readonly string[]>): string[] {
  const names = noEffect.flatMap((group) => group.names);
  return names.filter((name) => (readers.get(name)?.length ?? 0) > 0);
}

function writeColumn(readers: ReadonlyMap<string, readonly string[]>): void {
  const row = /^( {2}\['([^']+)', '[^']*', '(?:[^'\\]|\\.)*', '[^']*', '[^']*', )'[^']*'/;
  for (const file of globSync('lib/config/table/*.ts', { cwd: root })) {
    const before = readFileSync(root + file, 'utf8');
    const lines = before
      .split('\n')
      .map((line) =>
        line.replace(row, (_, start: string, name: string) => `${start}'${(readers.get(name) ?? []).join(' ')}'`),
      );
    const after = lines.join('\n');
    if (after !== before) writeFileSync(root + file, after);
  }
}

if (import.meta.main) {
  const readers = await parameterReaders();
  const wrong = contradictions(readers);
  for (const name of wrong) {
    const by = readers.get(name)!.join(', ');
    console.error(`${name} is read by ${by}, but stands in lib/config/no-effect.ts`);
  }
  writeColumn(readers);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
