/**
 * Edits master.cf: replaces, comments out or removes entries (-M), replaces fields (-F), sets or removes parameters (-P).
 * Lines of other entries and all comments stay as they are; a changed entry is written in columns, each `-o` on a line of
 * its own.
 */
import { type LogicalLine, logicalLines } from '../../lib/config/logical-lines.ts';
import {
  type MasterEntry,
  MasterFieldCountError,
  parseArguments,
  parseMasterLine,
} from '../../lib/config/master-cf.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { asFileText } from './edit-file.ts';
import { type FieldName, fieldNames, formatEntry } from './master-entries.ts';
import type { Action, Options } from './options.ts';

/** One request: which entries, and what becomes of each; undefined removes the entry. */
interface Request {
  readonly text: string;
  readonly service: string;
  readonly type: string;
  readonly change: (entry: MasterEntry) => MasterEntry | 'comment-out' | undefined;
  /** The entry to add where nothing matches. */
  readonly added?: MasterEntry;
}

function parseLine(line: string, request: string): MasterEntry {
  try {
    return parseMasterLine(line, 'master.cf', 0, () => {});
  } catch (error) {
    if (!(error instanceof MasterFieldCountError)) throw error;
    throw new FatalError(`bad field count: "${request}"`, { cause: error });
  }
}

/** An entry with some of its fields replaced. */
function withFields(entry: MasterEntry, fields: Partial<Record<FieldName, string>>, request: string): MasterEntry {
  return parseLine(fieldNames.map((name) => fields[name] ?? entry.fields[name]).join(' '), request);
}

/** An entry whose options are changed; they stand before its plain arguments. */
function withParameter(entry: MasterEntry, name: string, value: string | undefined, request: string): MasterEntry {
  const setting = value === undefined ? [] : [`-o {${name}=${value}}`];
  let replaced = false;
  const before: string[] = [];
  const plain: string[] = [];
  for (const argument of parseArguments(entry.arguments, () => {})) {
    if (argument.kind === 'argument') plain.push(argument.text);
    else if (argument.kind === 'option') before.push(argument.text);
    else if (argument.kind === 'unreadable') before.push(`-o ${argument.text}`);
    else if (argument.name !== name) before.push(`-o {${argument.name}=${argument.value}}`);
    else if (!replaced) {
      before.push(...setting);
      replaced = true;
    }
  }
  if (!replaced) before.push(...setting);
  return withFields(entry, { command: [entry.command, ...before, ...plain].join(' ') }, request);
}

function parseEntryRequest(operand: string, action: Action): Request {
  const requirement = '-Me, -MX or -M# requires service_name/type';
  const equals = action === 'edit' ? operand.indexOf('=') : operand.length;
  if (equals < 0) throw new FatalError(`missing '=' after attribute name: "${operand}"`);
  if (equals === 0) throw new FatalError(`missing attribute name: "${operand}"`);
  const parts = operand.slice(0, equals).trim().split('/');
  if (parts.length !== 2) throw new FatalError(requirement);
  const [service, type] = parts as [string, string];
  if (action === 'exclude') return { text: operand, service, type, change: () => undefined };
  if (action === 'comment-out') return { text: operand, service, type, change: () => 'comment-out' };
  const entry = parseLine(operand.slice(equals + 1).trim(), operand);
  return { text: operand, service, type, change: () => entry, added: entry };
}

function parseFieldRequest(operand: string): Request {
  const [name, value] = splitAtEquals(operand);
  const [service, type, field] = threeParts(name, '-Fe or -FX requires service_name/type/field_name');
  if (!(fieldNames as readonly string[]).includes(field))
    throw new FatalError(`invalid service attribute name: "${field}"`);
  if (field !== 'command' && /\s/.test(value))
    throw new FatalError('-Fe does not accept whitespace in non-command field');
  return { text: operand, service, type, change: (entry) => withFields(entry, { [field]: value }, operand) };
}

function parseParameterRequest(operand: string, action: Action): Request {
  const requirement = '-Pe or -PX requires service_name/type/parameter';
  const [name, value] = action === 'exclude' ? [operand, undefined] : splitAtEquals(operand);
  const [service, type, parameter] = threeParts(name, requirement);
  if (parameter === '*') throw new FatalError('-Pe does not accept wild-card parameter name');
  return { text: operand, service, type, change: (entry) => withParameter(entry, parameter, value, operand) };
}

function splitAtEquals(operand: string): [string, string] {
  const equals = operand.indexOf('=');
  if (equals < 0) throw new FatalError(`missing '=' after attribute name: "${operand}"`);
  return [operand.slice(0, equals).trim(), operand.slice(equals + 1).trim()];
}

function threeParts(name: string, requirement: string): [string, string, string] {
  const parts = name.split('/');
  if (parts.length !== 3 || parts.includes('')) throw new FatalError(requirement);
  return parts as [string, string, string];
}

/** Reads the operands of an edit of master.cf. */
export function parseMasterEdits({ subject, action, operands }: Options): Request[] {
  return operands.map((operand) => {
    if (operand.includes('\n')) throw new FatalError('-e, -X, or -# accepts no multi-line input');
    const text = asFileText(operand);
    if (subject === 'entries') return parseEntryRequest(text, action);
    return subject === 'fields' ? parseFieldRequest(text) : parseParameterRequest(text, action);
  });
}

function matches(request: Request, entry: MasterEntry): boolean {
  const { service, type } = request;
  return (service === '*' || service === entry.name) && (type === '*' || type === entry.type);
}

/** Requests that concern an entry; a replacement also takes the place of an entry of its own name and type. */
function concerns(request: Request, entry: MasterEntry): boolean {
  return matches(request, entry) || (request.added?.name === entry.name && request.added.type === entry.type);
}

/** The text of master.cf after the edits. */
export function editMasterText(text: string, requests: readonly Request[], warn: (text: string) => void): string {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const matched = new Set<Request>();
  const result: string[] = [];
  let copied = 0;
  const copyUpTo = (end: number): void => {
    result.push(...lines.slice(copied, end));
    copied = end;
  };
  for (const logical of logicalLines(text)) {
    const entry = parseMasterLine(logical.text, 'master.cf', logical.line, () => {});
    const ofEntry = requests.filter((request) => concerns(request, entry));
    if (ofEntry.length === 0) continue;
    copyUpTo(logical.line - 1);
    copied = logical.lastLine;
    let current: MasterEntry | 'comment-out' | undefined = entry;
    let replaced = false;
    for (const request of ofEntry) {
      // One entry takes the place of all that it replaces.
      if (request.added !== undefined && matched.has(request)) current = undefined;
      else if (typeof current === 'object') current = request.change(current);
      replaced ||= request.added !== undefined;
      matched.add(request);
    }
    result.push(...replacement(lines, logical, current, replaced));
  }
  copyUpTo(lines.length);
  for (const request of requests) {
    if (matched.has(request)) continue;
    if (request.added !== undefined) result.push(formatEntry(request.added, true));
    else if (request.text.includes('=')) warn(`unmatched service_name/type: "${request.text}"`);
  }
  return result.map((line) => `${line}\n`).join('');
}

/** What stands in the place of an entry: its comments, and the entry as changed after them, or as replaced before. */
function replacement(
  lines: readonly string[],
  { line, lastLine }: LogicalLine,
  changed: MasterEntry | 'comment-out' | undefined,
  replaced: boolean,
): string[] {
  const own = lines.slice(line - 1, lastLine);
  const isComment = (one: string): boolean => /^\s*(#|$)/.test(one);
  if (changed === 'comment-out') return own.map((one) => (isComment(one) ? one : `#${one}`));
  const comments = own.filter(isComment);
  if (changed === undefined) return comments;
  const entry = formatEntry(changed, true);
  return replaced ? [entry, ...comments] : [...comments, entry];
}
