/**
 * What the operating system said about a file or a process, in the words of strerror(3) as Postfix logs them, and what
 * that means for a delivery: full quotas and size limits are the recipient's and final, anything else may pass.
 *
 * Pure.
 */
import { getSystemErrorMap } from 'node:util';

/** The words of strerror(3) where the short ones of Node differ from them by more than a capital letter. */
const STRERROR: Readonly<Record<string, string>> = {
  EEXIST: 'File exists',
  EDQUOT: 'Disk quota exceeded',
  EFBIG: 'File too large',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EROFS: 'Read-only file system',
  ENOENT: 'No such file or directory',
  ENOTDIR: 'Not a directory',
  ENOSPC: 'No space left on device',
  EMFILE: 'Too many open files',
};

/** The code of a system error (`ENOENT`), or undefined for any other error, those of Node (`ERR_…`) included. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** "Permission denied" */
export function errorText(error: unknown): string {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException;
  if (code !== undefined && STRERROR[code] !== undefined) return STRERROR[code];
  const text = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  if (text === undefined) return error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The enhanced status code of a failed write into a mailbox. */
export function mailboxStatus(error: unknown): string {
  switch (errorCode(error)) {
    case 'EFBIG':
    case 'EDQUOT':
      return '5.2.2';
    case 'ENOSPC':
    case 'EMFILE':
    case 'ENFILE':
    case 'EIO':
      return '4.3.0';
    default:
      return '4.2.0';
  }
}

/** The error of a file that would grow beyond its limit. */
export function fileTooLarge(): NodeJS.ErrnoException {
  return Object.assign(new Error('File too large'), { code: 'EFBIG' });
}
