/**
 * Edits main.cf: sets (-e), comments out (-#) or removes (-X) parameters. Comments and all other lines stay as they are;
 * the continuation lines of a changed setting go with it; a parameter that was not there comes last.
 */
import { FatalError } from '../../lib/util/errors.ts';
import { splitNameValue } from '../../lib/util/split.ts';
import { asFileText } from './edit-file.ts';
import type { Action } from './options.ts';

/** What to do with each name: its setting as `name = value`, or undefined for -# and -X. */
export type MainEdits = ReadonlyMap<string, string | undefined>;

/** Reads the operands of an edit. */
export function parseMainEdits(action: Action, operands: readonly string[], warn: (text: string) => void): MainEdits {
  const edits = new Map<string, string | undefined>();
  for (const operand of operands) {
    if (operand.includes('\n')) throw new FatalError('-e, -X, or -# accepts no multi-line input');
    if (/^\s*#/.test(operand)) throw new FatalError('-e, -X, or -# accepts no comment input');
    if (action !== 'edit') {
      if (operand.includes('=')) throw new FatalError(`specify one of -e ${action === 'exclude' ? '-X' : '-#'}`);
      if (operand.trim() === '') throw new FatalError('-X or -# requires non-blank parameter names');
      edits.set(operand, undefined);
      continue;
    }
    const setting = splitNameValue(operand);
    if ('error' in setting) throw new FatalError(`${setting.error}: "${operand}"`);
    const earlier = edits.get(setting.name);
    if (earlier !== undefined) warn(`ignoring earlier request: '${earlier}'`);
    edits.set(setting.name, `${setting.name} = ${setting.value}`);
  }
  return edits;
}

/** The text of main.cf after the edits. `path` is for warnings. */
export function editMainText(
  text: string,
  action: Action,
  edits: MainEdits,
  path: string,
  warn: (text: string) => void,
): string {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const seen = new Set<string>();
  const result: string[] = [];
  let editing = false;
  for (const line of lines) {
    const visible = line.trimStart();
    if (visible === '' || visible.startsWith('#')) {
      result.push(line);
      continue;
    }
    const continues = visible.length < line.length;
    const name = /^[^\s=]*/.exec(line)![0];
    if (!continues) {
      editing = edits.has(name);
      if (editing && seen.has(name)) warn(`${path}: multiple entries for "${name}"`);
      if (editing) seen.add(name);
    }
    if (!editing) result.push(line);
    else if (action === 'comment-out') result.push(`#${line}`);
    else if (action === 'edit' && !continues) result.push(asFileText(edits.get(name)!));
  }
  for (const [name, setting] of edits) if (setting !== undefined && !seen.has(name)) result.push(asFileText(setting));
  return result.map((line) => `${line}\n`).join('');
}
