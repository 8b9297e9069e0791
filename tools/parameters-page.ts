/**
 * Writes docs/parameters.md from the parameter table: `node tools/parameters-page.ts`. A test fails where the committed
 * page differs.
 */
import { writeFileSync } from 'node:fs';
import { noEffect } from '../lib/config/no-effect.ts';
import { oldNames } from '../lib/config/old-names.ts';
import {
  ownParameters,
  type Parameter,
  postfixParameters,
  timeLimitParameter,
  transportParameters,
} from '../lib/config/parameters.ts';

export const pagePath = new URL('../docs/parameters.md', import.meta.url);

/** Text in a table cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function code(text: string): string {
  if (text === '') return '';
  const fence = text.includes('`') ? '``' : '`';
  return `${fence}${cell(text)}${fence}`;
}

function range({ min, max }: Parameter): string {
  if (min === undefined && max === undefined) return '';
  if (max === undefined) return `, ${min} or more`;
  return `, ${min ?? ''} to ${max}`;
}

const defaultsOfHost: Readonly<Record<string, string>> = {
  myhostname: 'name of the host',
  mydomain: 'myhostname without its first label',
  mynetworks: 'networks of the host in mynetworks_style',
  process_id: 'number of the process',
  process_name: 'name of the program',
};

/** Names without effect by the reason that they share, numbered as the page lists them. */
const reasonNumbers = new Map(noEffect.flatMap(({ names }, index) => names.map((name) => [name, index + 1] as const)));

function readers({ name, usedBy }: Parameter): string {
  const number = reasonNumbers.get(name);
  if (number !== undefined) return `no effect ([${number}](#no-effect))`;
  return usedBy.length === 0 ? 'nothing: not implemented' : usedBy.join(', ');
}

function row(parameter: Parameter): string {
  const { name, type, defaultValue, since, meaning } = parameter;
  const shown = defaultsOfHost[name] ?? code(defaultValue);
  return `| \`${name}\` | ${type}${range(parameter)} | ${shown} | ${since} | ${readers(parameter)} | ${cell(meaning)} |`;
}

function table(parameters: Iterable<Parameter>): string[] {
  const rows = [...parameters].sort((a, b) => (a.name < b.name ? -1 : 1)).map(row);
  return ['| name | type | default | since | read by | meaning |', '|---|---|---|---|---|---|', ...rows];
}

/** The page as text. */
export function parametersPage(): string {
  return [
    '# Parameters',
    '',
    '<!-- Written by tools/parameters-page.ts from lib/config/table; edit that. -->',
    '',
    'Every parameter of main.cf, as `postconf -d` prints it. Names, types and defaults are those of Postfix 3.12; what',
    'each means in full stands in its postconf(5). *Since* is the Postfix version that brought it. *Read by* names the',
    'services and commands that read it; *all* stands for every service.',
    '',
    'Types: `bool` is yes or no. `int` and `long` are whole numbers. `time` is a whole number with a unit: s, m, h, d, w; a',
    'number alone has the unit of the default. `string` may hold anything, with `$name` expanded; `raw` is not expanded when',
    'it is read. `nbool` and `nint` are bool and int whose default is an expression.',
    '',
    "## Postfleet's own parameters",
    '',
    'Each may also be given in the environment, under its name in capitals. `-o` of a master.cf entry counts before the',
    'environment, the environment before main.cf.',
    '',
    ...table(ownParameters.values()),
    '',
    '## Parameters of Postfix',
    '',
    ...table(postfixParameters.values()),
    '',
    '## Parameters of services in master.cf',
    '',
    'A delivery transport has parameters under its own name, here `NAME`. Those of `local` above have other defaults.',
    '',
    '| name | default |',
    '|---|---|',
    ...[...transportParameters].map(([suffix, fallback]) => `| \`NAME_${suffix}\` | \`$${fallback}\` |`),
    `| \`NAME_${timeLimitParameter.suffix}\` (pipe, spawn) | \`$${timeLimitParameter.fallback}\` |`,
    '',
    '## No effect',
    '',
    'These are accepted, and nothing here depends on them:',
    '',
    ...noEffect.map(
      ({ reason, names }, index) => `${index + 1}. ${reason}\n   (${names.map((name) => `\`${name}\``).join(', ')})`,
    ),
    '',
    '## Old names',
    '',
    'A setting under one of these names counts as one of the present name, unless that is set too; `postconf` and the',
    'services warn.',
    '',
    '| old name or misspelling | present name |',
    '|---|---|',
    ...[...oldNames()].map(([old, present]) => `| \`${old}\` | \`${present}\` |`),
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(pagePath, parametersPage());
