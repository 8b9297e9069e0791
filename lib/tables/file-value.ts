/**
 * Results that are files: with `valueIsFile` the right-hand side of an entry names one file or several, separated by
 * commas or blanks, and the result is their content, joined by newlines, in base64 (postmap -F, tls_server_sni_maps).
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { COMMA_OR_BLANK, splitOutsideBraces } from '../util/split.ts';
import { TableOpenError } from './table.ts';

/** The content of the listed files in base64. Throws TableOpenError that names the file that cannot be read. */
export function encodeFiles(list: string, directory: string): string {
  const names = splitOutsideBraces(list, COMMA_OR_BLANK);
  if (names.length === 0) throw new TableOpenError(`empty pathname list: >>${list}<<'`);
  const contents = names.map((name) => readNamed(name, directory));
  const joined: Buffer[] = [];
  for (const content of contents) {
    if (joined.length > 0) joined.push(Buffer.from('\n'));
    joined.push(content);
  }
  return Buffer.concat(joined).toString('base64');
}

function readNamed(name: string, directory: string): Buffer {
  try {
    return readFileSync(resolve(directory, name));
  } catch (error) {
    throw new TableOpenError(`open ${name}: ${systemErrorText(error)}`);
  }
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  EROFS: 'Read-only file system',
  ENOSPC: 'No space left on device',
  EMFILE: 'Too many open files',
  ELOOP: 'Too many levels of symbolic links',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ETIMEDOUT: 'Connection timed out',
};

/** The operating system's words for an error, as strerror(3) would give them. */
export function systemErrorText(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== undefined && code in SYSTEM_ERRORS) return SYSTEM_ERRORS[code]!;
  return error instanceof Error ? error.message : String(error);
}
