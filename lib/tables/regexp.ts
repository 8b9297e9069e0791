/** `regexp:/path` and `regexp:{{rule} …}`: POSIX regular expressions (regexp_table(5)). */
import { parsePosix } from '../util/pattern/parse-posix.ts';
import { type ExpressionSyntax, openExpressionTable, toggleFlags } from './expression-table.ts';
import type { OpenRequest } from './open.ts';
import type { Table } from './table.ts';

const DEFAULTS = { ignoreCase: true, multiLine: false, extended: true };
const LETTERS = { i: 'ignoreCase', m: 'multiLine', x: 'extended' } as const;

export const regexpSyntax: ExpressionSyntax = {
  compile(pattern, flags) {
    const options = toggleFlags(DEFAULTS, LETTERS, flags);
    return 'unknownFlag' in options ? (options as { unknownFlag: string }) : parsePosix(pattern, options);
  },
  describeError: (error) => error.message,
  secondPattern: true,
  noDelimiter: 'skipping this rule',
  outOfRange: 'out-of-range',
};

export function openTableType(request: OpenRequest): Promise<Table> {
  return openExpressionTable(request, regexpSyntax);
}
