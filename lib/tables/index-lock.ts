/**
 * One writer at a time for an index file: `source.index.lock` holds the process id of the one that is at work. A lock
 * whose process is gone is taken over. Readers need no lock, since the file is replaced as a whole.
 */
import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const RETRY_MS = 50;
const MAX_WAIT_MS = 60_000;

/** Waits for the lock. Rejects where another process keeps it longer than a minute. */
export async function lockIndex(indexPath: string): Promise<Disposable> {
  const path = `${indexPath}.lock`;
  for (let waited = 0; !tryLock(path); waited += RETRY_MS) {
    if (waited >= MAX_WAIT_MS) throw new Error(`${path}: another process keeps the table locked`);
    if (isAbandoned(path)) unlinkIfThere(path);
    else await delay(RETRY_MS);
  }
  return { [Symbol.dispose]: () => unlinkIfThere(path) };
}

function tryLock(path: string): boolean {
  try {
    const fd = openSync(path, 'wx', 0o644);
    writeSync(fd, `${process.pid}\n`);
    closeSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAbandoned(path: string): boolean {
  try {
    const holder = Number(readFileSync(path, 'utf8'));
    // A file without a number is one that is being written.
    if (!Number.isInteger(holder) || holder <= 0) return false;
    process.kill(holder, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
