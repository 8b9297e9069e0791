/** `cidr:/path` and `cidr:{{rule} …}`: patterns of network addresses, tried in order (cidr_table(5)). */
import { type CidrPattern, matchesCidr, parseAddress, parseCidr } from '../util/ip-address.ts';
import { encodeFiles } from './file-value.ts';
import { FixedTable } from './fixed-table.ts';
import { logicalLines } from './logical-lines.ts';
import type { OpenRequest } from './open.ts';
import {
  type CompiledRule,
  compileBlocks,
  openPatternSource,
  type PatternSource,
  type Rule,
} from './pattern-source.ts';
import { type LookupResult, type MaybePromise, type Table, TableOpenError } from './table.ts';

type CidrRule = Rule<CidrPattern, string>;
type CidrRules = readonly CompiledRule<CidrPattern, string>[];

class CidrTable extends FixedTable {
  override readonly partialKeys = false;
  readonly #source: PatternSource<CidrRules>;

  constructor(request: OpenRequest, source: PatternSource<CidrRules>) {
    super(request.type, request.name, source.owner, request.context, request.flags);
    this.#source = source;
  }

  protected find(key: string): MaybePromise<LookupResult> {
    const rules = this.#source.current();
    return rules instanceof Promise ? rules.then((read) => search(read, key)) : search(rules, key);
  }
}

function search(rules: CidrRules, key: string): LookupResult {
  const address = parseAddress(key);
  if (address === undefined) return undefined;
  for (let at = 0; at < rules.length; ) {
    const rule = rules[at]!;
    const matches = matchesCidr(address, rule.condition);
    if (rule.kind === 'match' && matches) return rule.result;
    at = rule.kind === 'if' && !matches ? rule.skip : at + 1;
  }
  return undefined;
}

/** The rules of a source; what is wrong with one is a warning, and the rule is left out. */
export function readCidrRules(request: OpenRequest, text: string): CidrRules {
  const where = `cidr map ${request.name}`;
  return compileBlocks(parseRules(text, where, request), (line) =>
    request.context.warn(`${where}, line ${line}: IF has no matching ENDIF`),
  );
}

export async function openTableType(request: OpenRequest): Promise<Table> {
  return new CidrTable(request, await openPatternSource(request, (text) => readCidrRules(request, text)));
}

/** The well-formed rules of a table, in order; the others are reported and skipped. */
function* parseRules(text: string, where: string, request: OpenRequest): Generator<CidrRule> {
  const { context } = request;
  let depth = 0;
  for (const line of logicalLines(text, where, context.warn)) {
    const rule = parseRule(line.text, line.number, depth, request);
    if ('error' in rule) {
      context.warn(`${where}, line ${line.number}: ${rule.error}: skipping this rule`);
      continue;
    }
    if (rule.kind === 'if') depth += 1;
    else if (rule.kind === 'endif') depth -= 1;
    yield rule;
  }
}

function parseRule(text: string, line: number, depth: number, request: OpenRequest): CidrRule | { error: string } {
  const keyword = /^(if(?=\s|!|$)|endif(?=\s|$))/i.exec(text)?.[0];
  if (keyword === undefined) return parseMatch(text, request);
  const rest = text.slice(keyword.length).trim();
  if (keyword.length === 2) {
    const condition = parseCidr(rest);
    return 'error' in condition ? condition : { kind: 'if', condition, line };
  }
  if (rest !== '') return { error: 'garbage after ENDIF' };
  return depth > 0 ? { kind: 'endif' } : { error: 'ENDIF without IF' };
}

function parseMatch(text: string, request: OpenRequest): CidrRule | { error: string } {
  // Blanks may stand between the exclamation marks and the address.
  const [, pattern = '', value = ''] = /^((?:!\s*)*\S*)\s*(.*)$/s.exec(text) ?? [];
  const condition = parseCidr(pattern);
  if ('error' in condition) return condition;
  if (value === '') return { error: 'no lookup result' };
  if (!request.flags.valueIsFile) return { kind: 'match', condition, result: value };
  try {
    return { kind: 'match', condition, result: encodeFiles(value, request.context.directory) };
  } catch (error) {
    if (error instanceof TableOpenError) return { error: error.message };
    throw error;
  }
}
