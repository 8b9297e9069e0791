/** `pcre:/path` and `pcre:{{rule} …}`: Perl-compatible regular expressions (pcre_table(5)). */
import { parsePerl } from '../util/pattern/parse-perl.ts';
import { type ExpressionSyntax, openExpressionTable, toggleFlags } from './expression-table.ts';
import type { OpenRequest } from './open.ts';
import type { Table } from './table.ts';

const DEFAULTS = {
  ignoreCase: true,
  multiLine: false,
  dotAll: true,
  extended: false,
  anchored: false,
  dollarEndOnly: false,
  ungreedy: false,
  // Accepted and without effect, as with PCRE2: unknown escapes are errors either way.
  extra: false,
};

const LETTERS = {
  i: 'ignoreCase',
  m: 'multiLine',
  s: 'dotAll',
  x: 'extended',
  A: 'anchored',
  E: 'dollarEndOnly',
  U: 'ungreedy',
  X: 'extra',
} as const;

export const pcreSyntax: ExpressionSyntax = {
  compile(pattern, flags, warn) {
    if (flags.includes('X')) warn('ignoring obsolete regexp option "X"');
    const options = toggleFlags(DEFAULTS, LETTERS, flags);
    return 'unknownFlag' in options ? (options as { unknownFlag: string }) : parsePerl(pattern, options);
  },
  describeError: (error) => `error in regex at offset ${error.offset}: ${error.message}`,
  secondPattern: false,
  noDelimiter: 'ignoring this rule',
  outOfRange: 'out of range',
};

export function openTableType(request: OpenRequest): Promise<Table> {
  return openExpressionTable(request, pcreSyntax);
}
