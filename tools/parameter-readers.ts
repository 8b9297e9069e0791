/**
 * Finds out which services and commands read each parameter, and writes the column "read by" of lib/config/table:
 * `node tools/parameter-readers.ts`. A test fails where the column says something else than the code.
 *
 * A service reads what it declares, and what its source names in quotes; a command what its source names. What only the
 * libraries name counts for all. A parameter that the default of another refers to is read wherever that other is.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { SERVICES } from '../bin/services.ts';
import { namesIn } from '../lib/config/expand.ts';
import { comparisons, functions } from '../lib/config/expressions.ts';
import { noEffect } from '../lib/config/no-effect.ts';
import { parameters, transportParameters } from '../lib/config/parameters.ts';

const root = new URL('..', import.meta.url).pathname;

/** Files that name parameters without reading them. */
const describing =
  /^lib\/config\/(table\/|(no-effect|deprecated|old-names|parameters|database-parameters)\.ts$)|\.test\.ts$/;

/** Who reads parameters that only libraries name. */
const everyone = 'all';

function sourceFiles(): string[] {
  const patterns = ['bin', 'cli', 'lib', 'services', 'operator'].map((folder) => `${folder}/**/*.ts`);
  return globSync(patterns, { cwd: root })
    .filter((file) => !describing.test(file))
    .sort();
}

/** The service or command that a file belongs to. */
function ownerOf(file: string): string {
  const [folder, name = ''] = file.split('/');
  if (folder === 'services' || folder === 'cli') return name;
  return folder === 'operator' ? 'operator' : everyone;
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
  const add = (name: string, reader: string): void => void readers.get(name)?.add(reader);
  const shared: string[] = [];
  for (const file of sourceFiles()) {
    const owner = ownerOf(file);
    for (const name of namedIn(readFileSync(root + file, 'utf8'))) {
      if (owner === everyone) shared.push(name);
      else add(name, owner);
    }
  }
  for (const [daemon, load] of SERVICES) {
    for (const name of (await load()).parameters) add(name, daemon === 'lmtp' ? 'smtp' : daemon);
  }
  for (const name of shared) if (readers.get(name)?.size === 0) add(name, everyone);
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
      for (const reference of namesIn(parameters.get(name)!.defaultValue, functions, comparisons)) {
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
