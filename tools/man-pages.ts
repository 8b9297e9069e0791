/**
 * Writes docs/man, a page for each daemon and command, from the block on top of its main.ts and from the parameter table:
 * `node tools/man-pages.ts`. A test fails where the committed pages differ.
 *
 * A block begins with `name(8): what it is for.`; a paragraph or line that begins with one of MARKERS goes to the section of
 * that name, `@synopsis` and `@see` to theirs, indented lines are shown as they are, and everything else is description.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { COMMANDS } from '../bin/commands.ts';
import { SERVICES } from '../bin/services.ts';
import { type Parameter, parameters } from '../lib/config/parameters.ts';

const root = new URL('..', import.meta.url).pathname;
export const pagesDirectory = new URL('../docs/man/', import.meta.url).pathname;

const SECTIONS = [
  'NAME',
  'SYNOPSIS',
  'DESCRIPTION',
  'STANDARDS',
  'DIAGNOSTICS',
  'EXIT STATUS',
  'LIMITS',
  'PARAMETERS',
  'SEE ALSO',
] as const;
type Section = (typeof SECTIONS)[number];

const MARKERS: readonly [RegExp, Section][] = [
  [/^(?:Standards|STANDARDS):\s*/, 'STANDARDS'],
  [/^(?:Diagnostics|DIAGNOSTICS):\s*/, 'DIAGNOSTICS'],
  [/^(?=Logs )/, 'DIAGNOSTICS'],
  [/^(?:Known limits|Limits|BUGS):\s*/, 'LIMITS'],
  [/^(?=(?:Ends|Exit status(?:es)?) )/, 'EXIT STATUS'],
  [/^(?:SEE ALSO:|@see)\s*/, 'SEE ALSO'],
  [/^@synopsis\s*/, 'SYNOPSIS'],
];

const SERVICE_STATUS =
  '0 after an end in order. 69 where a store does not answer, 71 where an address cannot be listened on, 78 for what is wrong ' +
  'with the configuration; the reason is one line on standard error.';
const COMMAND_STATUS = 'Else a status of sysexits(3), and the reason is one line on standard error.';

interface Page {
  readonly name: string;
  readonly section: 1 | 8;
  readonly text: string;
  /** What it is for, for the index. */
  readonly purpose: string;
}

/** The block on top of a file, without its stars. */
function header(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const block = /\/\*\*\n?([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  return block
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd());
}

/** Text of each section; blocks are apart by an empty line. */
class Draft {
  readonly #blocks = new Map<Section, string[]>();

  add(section: Section, block: string): void {
    const before = this.#blocks.get(section) ?? [];
    if (block === '' || before.includes(block)) return;
    this.#blocks.set(section, [...before, block]);
  }

  has(section: Section): boolean {
    return this.#blocks.has(section);
  }

  toString(title: string): string {
    const sections = SECTIONS.filter((section) => this.has(section)).map(
      (section) => `## ${section}\n\n${this.#blocks.get(section)!.join('\n\n')}`,
    );
    return `${[`# ${title}`, '<!-- Written by tools/man-pages.ts; edit the block on top of the source. -->', ...sections].join('\n\n')}\n`;
  }
}

/** A sentence that a marker begins stands on a line of its own. */
function sentences(line: string): string[] {
  return line.split(/(?<=[.:;]) (?=(?:Ends with|Ends in|Exit status|Logs|Known limits:|Limits:|Diagnostics:|@see) ?)/);
}

/** Splits a header into blocks of one kind each: plain paragraphs, indented text, and what a marker opens. */
function blocks(lines: readonly string[]): { section: Section; text: string }[] {
  const found: { section: Section; lines: string[]; verbatim: boolean }[] = [];
  let open = false;
  for (const line of lines.flatMap(sentences)) {
    if (line === '') {
      open = false;
      continue;
    }
    const marker = MARKERS.find(([pattern]) => pattern.test(line));
    const last = found.at(-1);
    // What hangs below the first line of an item belongs to it.
    const hanging = open && last?.verbatim === false && last.lines.some((before) => before.startsWith('- '));
    const verbatim = /^\s{2,}\S/.test(line) && !hanging;
    if (marker !== undefined) found.push({ section: marker[1], lines: [line.replace(marker[0], '')], verbatim: false });
    else if (open && last !== undefined && last.verbatim === verbatim) last.lines.push(line);
    else found.push({ section: 'DESCRIPTION', lines: [line], verbatim });
    open = true;
  }
  return found.map(({ section, lines: text, verbatim }) => ({
    section,
    text: verbatim || section === 'SYNOPSIS' ? shownAsIs(text) : capitalised(text.join('\n'), section),
  }));
}

function shownAsIs(lines: readonly string[]): string {
  const indent = Math.min(...lines.map((line) => /^ */.exec(line)![0].length));
  return ['```', ...lines.map((line) => line.slice(indent)), '```'].join('\n');
}

/** What stood behind a marker begins with a small letter, as in a list; names of parameters and the like stay. */
function capitalised(text: string, section: Section): string {
  const isProse = section !== 'SEE ALSO' && /^[a-z]+[ ,:]/.test(text);
  return isProse ? `${text.charAt(0).toUpperCase()}${text.slice(1)}` : text;
}

/** `name(8): purpose. More.` as the purpose, and what follows it. */
function opening(text: string): { purpose: string; rest: string } {
  const said = text.replace(/^[\w-]+(?:\(\d\))?(?::| -)\s+/, '');
  const end = /\.(?=\s|$)/.exec(said)?.index ?? said.length;
  return { purpose: said.slice(0, end).replaceAll('\n', ' ').replace(/:$/, ''), rest: said.slice(end + 1).trim() };
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function parameterTable(name: string): string {
  const read = [...parameters.values()].filter(({ usedBy }) => usedBy.includes(name));
  if (read.length === 0) return '';
  const row = ({ name: parameter, defaultValue, meaning }: Parameter): string => {
    const shown = defaultValue === '' ? 'empty' : `\`${cell(defaultValue)}\``;
    return `| \`${parameter}\` | ${shown} | ${cell(meaning)} |`;
  };
  const rows = read.sort((a, b) => (a.name < b.name ? -1 : 1)).map(row);
  return ['| name | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

function page(name: string, section: 1 | 8, lines: readonly string[], synopsis: readonly string[] = []): Page {
  const draft = new Draft();
  const [first, ...others] = blocks(lines);
  const { purpose, rest } = opening(first?.text ?? '');
  draft.add('NAME', `${name} - ${purpose}`);
  if (synopsis.length > 0) draft.add('SYNOPSIS', shownAsIs(synopsis));
  draft.add('DESCRIPTION', rest);
  if (section === 1) draft.add('EXIT STATUS', '0 where it did what was asked.');
  for (const { section: where, text } of others) draft.add(where, text);
  if (!draft.has('DESCRIPTION')) draft.add('DESCRIPTION', `${purpose.charAt(0).toUpperCase()}${purpose.slice(1)}.`);
  if (section === 8) draft.add('EXIT STATUS', SERVICE_STATUS);
  else if (!others.some((block) => block.section === 'EXIT STATUS')) draft.add('EXIT STATUS', COMMAND_STATUS);
  const table = parameterTable(name);
  draft.add('PARAMETERS', table);
  draft.add(
    'PARAMETERS',
    `${table === '' ? 'Those' : 'Beside these, those'} that every ${section === 8 ? 'service' : 'program'} reads: [parameters](../parameters.md).`,
  );
  draft.add('SEE ALSO', '[all pages](README.md), [parameters](../parameters.md), [master.cf](../master-cf.md)');
  return { name, section, purpose, text: draft.toString(`${name}(${section})`) };
}

/** Lines of the sample master.cf that run a daemon. */
function sampleEntries(command: string): string[] {
  const lines = readFileSync(join(root, 'etc/postfleet/master.cf'), 'utf8').split('\n');
  const found = lines.filter((line) => /^[^#\s]/.test(line) && line.split(/\s+/)[7] === command);
  return found.length === 0 ? [] : ['', '# in master.cf', ...found.map((line) => line.replace(/\s+/g, ' '))];
}

function servicePages(): Page[] {
  // A second name of a daemon stands in the page of the first.
  const folders = new Set(globSync('services/*/main.ts', { cwd: root }).map((file) => basename(dirname(file))));
  return [...folders].map((name) => {
    const alone = SERVICES.has(name) ? [`postfleet ${name} [--service NAME/TYPE] [--config DIR]`] : [];
    return page(name, 8, header(`services/${name}/main.ts`), [...alone, ...sampleEntries(name)]);
  });
}

function commandPages(): Page[] {
  const folders = globSync('cli/*/main.ts', { cwd: root }).map((file) => basename(dirname(file)));
  const named = folders.filter((name) => name !== 'control' && name !== 'check');
  // postfleet(1) has commands of its own; what is said of them stands in its page.
  const postfleet = [
    ...header('bin/postfleet.ts'),
    ...['check', 'control'].flatMap((name) => ['', ...header(`cli/${name}/main.ts`)]),
  ];
  return [page('postfleet', 1, postfleet), ...named.map((name) => page(name, 1, header(`cli/${name}/main.ts`)))];
}

/** File names and texts. */
export function manPages(): Map<string, string> {
  const pages = [...servicePages(), ...commandPages()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const file = ({ name, section }: Page): string => `${name}.${section}.md`;
  const list = (section: 1 | 8): string[] =>
    pages
      .filter((one) => one.section === section)
      .map((one) => `- [${one.name}(${section})](${file(one)}): ${one.purpose}`);
  const index = [
    '# Manual pages',
    '<!-- Written by tools/man-pages.ts. -->',
    '## Commands',
    list(1).join('\n'),
    '## Daemons',
    list(8).join('\n'),
  ].join('\n\n');
  return new Map([['README.md', `${index}\n`], ...pages.map((one) => [file(one), one.text] as const)]);
}

/** Commands and daemons that have no page of their own or in another. */
export function withoutPage(): string[] {
  const texts = [...manPages().values()].join('\n');
  return [...COMMANDS.keys(), ...SERVICES.keys()].filter((name) => !texts.includes(name));
}

if (import.meta.main) {
  rmSync(pagesDirectory, { recursive: true, force: true });
  mkdirSync(pagesDirectory, { recursive: true });
  for (const [name, text] of manPages()) writeFileSync(join(pagesDirectory, name), text);
}
