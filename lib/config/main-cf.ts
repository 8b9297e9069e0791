/**
 * Reader of main.cf: `name = value` in logical lines (lib/config/logical-lines.ts). The last of several settings of one
 * name counts, with a warning; a line that is no setting is fatal, with file and line, for a service must not start
 * with half of what was meant. @see postconf(5)
 */
import { readFileSync } from 'node:fs';
import { FatalError } from '../util/errors.ts';
import { splitNameValue } from '../util/split.ts';
import { logicalLines } from './logical-lines.ts';

export interface MainCfEntry {
  readonly name: string;
  /** As written, unexpanded. */
  readonly value: string;
  readonly line: number;
}

export interface MainCf {
  readonly path: string;
  readonly entries: ReadonlyMap<string, MainCfEntry>;
  readonly warnings: readonly string[];
}

/** A configuration file larger than this is taken for a mistake. */
export const maximumFileSize = 8 * 1024 * 1024;

/** Reads a configuration file whole; FatalError with Postfix's wording when it cannot be read. */
export function readConfigurationFile(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' ? 'No such file or directory' : code === 'EACCES' ? 'Permission denied' : code;
    throw new FatalError(`open ${path}: ${reason}`, { cause });
  }
  if (bytes.length > maximumFileSize)
    throw new FatalError(`${path}: ${bytes.length} bytes, expected at most ${maximumFileSize}`);
  return bytes.toString('utf8');
}

/** Reads the text of a main.cf; `path` is for messages. */
export function parseMainCf(source: string, path: string): MainCf {
  const entries = new Map<string, MainCfEntry>();
  const warnings: string[] = [];
  for (const { text, line } of logicalLines(source)) {
    if (/^\s/.test(text)) {
      warnings.push(`${path}: logical line must not start with whitespace: "${text.slice(0, 30)}"`);
      continue;
    }
    const setting = splitNameValue(text);
    if ('error' in setting) throw new FatalError(`${path}, line ${line}: ${setting.error}: "${text}"`);
    const { name, value } = setting;
    const earlier = entries.get(name);
    if (earlier !== undefined && earlier.value !== value)
      warnings.push(`${path}, line ${line}: overriding earlier entry: ${name}=${earlier.value}`);
    entries.set(name, { name, value, line });
  }
  return { path, entries, warnings };
}

export function readMainCf(path: string): MainCf {
  return parseMainCf(readConfigurationFile(path), path);
}
