/**
 * What the sources of `regexp:`, `pcre:` and `cidr:` tables have in common: they stand in a file, or in the name itself as
 * `{{rule} {rule} …}`, and hold an ordered list of rules with if … endif around some of them (regexp_table(5),
 * cidr_table(5)).
 */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { decodeBytes } from '../util/byte-text.ts';
import { splitOutsideBraces, unbrace } from '../util/split.ts';
import { systemErrorText } from './file-value.ts';
import type { OpenRequest } from './open.ts';
import { ReloadingFile } from './reloading.ts';
import { type MaybePromise, ownerFromUserId, TableOpenError, type TableOwner } from './table.ts';

/** A compiled table whose source may change. */
export interface PatternSource<T> {
  readonly owner: TableOwner;
  current(): MaybePromise<T>;
}

/**
 * Reads the source that the name of a table stands for and compiles it; again after each change of the file.
 * Throws TableOpenError where there is no such file or the in-line form is wrong.
 */
export async function openPatternSource<T>(
  request: OpenRequest,
  compile: (text: string) => T,
): Promise<PatternSource<T>> {
  const { context, name } = request;
  if (name.startsWith('{')) {
    const compiled = compile(inlineText(request));
    return { owner: ownerFromUserId(context.userId ?? process.getuid?.() ?? -1), current: () => compiled };
  }
  const path = resolve(context.directory, name);
  try {
    const owner = ownerFromUserId((await stat(path)).uid);
    const file = await ReloadingFile.open({
      paths: [path],
      load: async () => compile(decodeBytes(await readFile(path))),
      warn: (text) => context.warn(text),
    });
    return { owner, current: () => file.current() };
  } catch (error) {
    if (error instanceof TableOpenError) throw error;
    throw new TableOpenError(`open ${name}: ${systemErrorText(error)}`);
  }
}

/** `{{rule-1} {rule-2}}` as the text of a file with a rule on each line. */
function inlineText(request: OpenRequest): string {
  const inner = (item: string): string => {
    const { text, error } = item.startsWith('{')
      ? unbrace(item)
      : { text: item, error: `no '{' at start of text in "${item}"` };
    if (error !== undefined) throw new TableOpenError(`${request.type} map: ${error}`);
    return text;
  };
  return splitOutsideBraces(inner(request.name))
    .map((item) => `${inner(item)}\n`)
    .join('');
}

/** A rule with a result, or the start or the end of a block. Conditions and results are the table type's own. */
export type Rule<Condition, Result> =
  | { readonly kind: 'match'; readonly condition: Condition; readonly result: Result }
  | { readonly kind: 'if'; readonly condition: Condition; readonly line: number }
  | { readonly kind: 'endif' };

/** A rule of a compiled list; `skip` is the place after the matching endif, where a false condition goes on. */
export type CompiledRule<Condition, Result> =
  | { readonly kind: 'match'; readonly condition: Condition; readonly result: Result }
  | { readonly kind: 'if'; readonly condition: Condition; readonly skip: number };

/**
 * Resolves the blocks of a list of rules; endif itself disappears. An if that is never closed reaches to the end of the
 * table; the caller's `unclosed` is told its line, innermost first.
 */
export function compileBlocks<Condition, Result>(
  rules: Iterable<Rule<Condition, Result>>,
  unclosed: (line: number) => void,
): CompiledRule<Condition, Result>[] {
  const compiled: CompiledRule<Condition, Result>[] = [];
  const open: { at: number; condition: Condition; line: number }[] = [];
  const close = (): { line: number } => {
    const block = open.pop()!;
    compiled[block.at] = { kind: 'if', condition: block.condition, skip: compiled.length };
    return block;
  };
  for (const rule of rules) {
    if (rule.kind === 'match') compiled.push(rule);
    else if (rule.kind === 'endif') close();
    else {
      open.push({ at: compiled.length, condition: rule.condition, line: rule.line });
      compiled.push({ kind: 'if', condition: rule.condition, skip: 0 });
    }
  }
  while (open.length > 0) unclosed(close().line);
  return compiled;
}
