/**
 * Replaces a configuration file as a whole: the text is changed in memory, written beside the file, flushed to disk and
 * renamed into place with the mode of the old one, so that no reader ever sees half of it.
 * Bytes that are not UTF-8 pass unchanged: the file is read and written as latin1, and what comes from the command line
 * is turned into its UTF-8 bytes first.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { FatalError } from '../../lib/util/errors.ts';

/** Text from the command line in the form in which the file is edited. */
export function asFileText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Applies a change to the file's text; FatalError where it cannot be read or replaced. */
export function editFile(path: string, change: (text: string) => string): void {
  const temporary = `${path}.tmp.${process.pid}`;
  try {
    const before = readFileSync(path, 'latin1');
    const after = change(before);
    if (after === before) return;
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeFileSync(file, after, 'latin1');
      fchmodSync(file, statSync(path).mode & 0o7777);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    if (cause instanceof FatalError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    throw new FatalError(code === 'ENOENT' ? `open ${path}: No such file or directory` : `edit ${path}: ${code}`, {
      cause,
    });
  }
}
