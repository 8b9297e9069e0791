/**
 * Lock files beside mailboxes: `mailbox.lock`, made with O_EXCL, as mail programs on Unix have always done.
 *
 * The file says who holds it: process id, host, and process-id namespace. A lock whose holder ran in our own namespace
 * and is gone (killed) is taken at once; any other one only when it is older than stale_lock_time. Deliveries within one
 * process to one mailbox take turns before they come to the file.
 *
 * Known limit: Node offers neither fcntl(2) nor flock(2) locks, so lock types `fcntl` and `flock` are served by a lock
 * file too: the mailbox is never written without a lock, but a mail reader that uses kernel locks alone does not see it.
 *
 * Side effects: files. Rejects with the system error of the last attempt.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { link, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LockSettings } from './mailbox-order.ts';
import { errorCode } from './system-error.ts';

const turns = new Map<string, Promise<void>>();
const held = new Set<string>();

/** Waits for earlier users of the same mailbox in this process; the result lets the next one go on. */
export async function takeTurn(mailbox: string): Promise<() => void> {
  const before = turns.get(mailbox);
  const { promise, resolve } = Promise.withResolvers<void>();
  const mine = (before ?? Promise.resolve()).then(() => promise);
  turns.set(mailbox, mine);
  await before;
  return () => {
    if (turns.get(mailbox) === mine) turns.delete(mailbox);
    resolve();
  };
}

let identity: string | undefined;

/** What a lock file holds: "123 host pid:[4026531836]". */
function whoWeAre(): string {
  if (identity === undefined) {
    let namespace = '-';
    try {
      namespace = `${readlinkSync('/proc/self/ns/pid')}/${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`;
    } catch (error) {
      // Without /proc nobody can tell whether a process of ours is alive: only age makes a lock stale.
      if (errorCode(error) === undefined) throw error;
    }
    identity = `${process.pid} ${hostname()} ${namespace}`;
  }
  return identity;
}

/** Makes `mailbox.lock`; the result removes it. */
export async function lockMailbox(mailbox: string, settings: LockSettings): Promise<() => Promise<void>> {
  const file = `${mailbox}.lock`;
  for (let attempt = 1; ; attempt++) {
    try {
      await create(file);
      held.add(file);
      return async () => {
        held.delete(file);
        await unlink(file).catch(ignoreMissing);
      };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      if (await isStale(file, settings.staleTime)) {
        await breakLock(file, settings.staleTime);
        continue;
      }
      if (attempt >= settings.attempts) throw error;
    }
    await sleep(settings.delay * 1000);
  }
}

async function create(file: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.write(`${whoWeAre()}\n`);
  } finally {
    await handle.close();
  }
}

async function isStale(file: string, staleTime: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(file);
    if (Date.now() - mtimeMs > staleTime * 1000) return true;
    return holderIsGone(file, (await readFile(file, 'latin1')).slice(0, 512));
  } catch (error) {
    // Gone meanwhile, or not ours to read: another attempt tells.
    if (errorCode(error) === undefined) throw error;
    return false;
  }
}

function holderIsGone(file: string, holder: string): boolean {
  const [pid = '', ...place] = holder.trim().split(' ');
  const ours = whoWeAre().split(' ');
  if (ours[2] === '-' || place.join(' ') !== ours.slice(1).join(' ') || !/^[1-9][0-9]{0,9}$/.test(pid)) return false;
  // Left behind by an earlier process that had our process id.
  if (pid === ours[0]) return !held.has(file);
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return errorCode(error) === 'ESRCH';
  }
}

/** Removes a stale lock, and no other: it is looked at again under a name that nobody else uses. */
async function breakLock(file: string, staleTime: number): Promise<void> {
  const aside = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(file, aside);
    if (!(await isStale(aside, staleTime))) await link(aside, file);
    await unlink(aside);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'EEXIST') throw error;
    await unlink(aside).catch(ignoreMissing);
  }
}

function ignoreMissing(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error;
}
