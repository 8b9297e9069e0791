/** Reads small files that users write: `.forward` and `:include:` files. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, errorText } from './system-error.ts';

export type FileText =
  | { readonly found: 'file'; readonly data: Buffer; readonly uid: number; readonly writableByAll: boolean }
  | { readonly found: 'nothing' }
  /** `temporary`: nobody has to change anything for it to work another time. */
  | { readonly found: 'error'; readonly reason: string; readonly temporary: boolean };

const LASTING = new Set(['EACCES', 'EPERM', 'ELOOP', 'EISDIR', 'ENXIO', 'ENAMETOOLONG']);

/** Reads a regular file of at most `limit` bytes. A missing one, or one below a missing or closed directory, is `nothing`. */
export async function readFileText(path: string, limit: number): Promise<FileText> {
  let handle: FileHandle;
  try {
    // A FIFO in place of the file must not make the reader wait.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { found: 'nothing' };
    return { found: 'error', reason: `cannot open file ${path}: ${errorText(error)}`, temporary: !LASTING.has(code) };
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return { found: 'error', reason: `${path} is not a regular file`, temporary: false };
    if (stat.size > limit)
      return { found: 'error', reason: `file ${path} is larger than ${limit} bytes`, temporary: false };
    const data = await readAll(handle, stat.size);
    return { found: 'file', data, uid: stat.uid, writableByAll: (stat.mode & 0o002) !== 0 };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return { found: 'error', reason: `cannot read file ${path}: ${errorText(error)}`, temporary: true };
  } finally {
    await handle.close();
  }
}

async function readAll(handle: FileHandle, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await handle.read(buffer, length, size - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
