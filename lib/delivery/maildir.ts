/**
 * Delivery in maildir format: the message is written to tmp/, synced, renamed into new/, and the directory synced; only
 * then is it delivered. Missing directories are made with mode 700.
 *
 * The name in new/ is derived from the message's arrival, its queue id and the recipient's position, so a repeated
 * attempt whose predecessor's outcome was lost finds the message: in new/ it is replaced by itself, and where a mail
 * reader has moved it to cur/ (with flags behind `:`) nothing is written. cur/ is only listed when it was changed since
 * the message arrived. A message that its reader has moved to another folder or deleted meanwhile is delivered again.
 *
 * Side effects: files. Never throws for what the file system does; see MailboxOutcome.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { syncDirectory } from './directory-sync.ts';
import type { MailboxOutcome, MaildirOrder } from './mailbox-order.ts';
import { errorCode, errorText, fileTooLarge, mailboxStatus } from './system-error.ts';

/** Clocks of a file server and ours may differ by this many milliseconds. */
const CLOCK_SKEW = 10_000;

const HOST = hostname().replaceAll('/', '\\057').replaceAll(':', '\\072');
const PROCESS = randomBytes(6).toString('hex');
let counter = 0;

/**
 * The name of a message in new/: seconds of its arrival, queue id and recipient, and the name of the mail system, which
 * must not change from pod to pod. `arrivalTime` in microseconds.
 */
export function maildirName(arrivalTime: number, queueId: string, recipientOffset: number, mailName: string): string {
  const host = mailName.replace(/[/:\0]/g, '_');
  return `${Math.floor(arrivalTime / 1_000_000)}.Q${queueId}R${recipientOffset}.${host}`;
}

/** Delivers one message. `content` is read once at most. */
export async function deliverToMaildir(order: MaildirOrder, content: AsyncIterable<Buffer>): Promise<MailboxOutcome> {
  const { path, name } = order;
  // The name in tmp/ is of this attempt alone: two that run at once do not write into one file.
  const temporary = `${path}/tmp/${Math.floor(Date.now() / 1000)}.P${process.pid}Q${PROCESS}_${++counter}.${HOST}`;
  let handle: FileHandle;
  try {
    if (await isInCur(order)) return { delivered: true };
    handle = await createFile(temporary, path);
  } catch (error) {
    return failed(error, `create maildir file ${temporary}: ${errorText(error)}`);
  }
  try {
    try {
      await writeMessage(handle, order, content);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await discard(temporary);
    if (errorCode(error) === undefined) throw error;
    return failed(error, `error writing message: ${errorText(error)}`);
  }
  try {
    await rename(temporary, `${path}/new/${name}`);
    await syncDirectory(`${path}/new`);
  } catch (error) {
    await discard(temporary);
    return failed(error, `link maildir file ${path}/new/${name}: ${errorText(error)}`);
  }
  return { delivered: true };
}

function failed(error: unknown, reason: string): MailboxOutcome {
  return { delivered: false, status: mailboxStatus(error), reason };
}

async function isInCur({ path, name, since }: MaildirOrder): Promise<boolean> {
  const cur = `${path}/cur`;
  try {
    const { mtimeMs } = await stat(cur);
    if (mtimeMs < since - CLOCK_SKEW) return false;
    const withFlags = `${name}:`;
    return (await readdir(cur)).some((file) => file === name || file.startsWith(withFlags));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function createFile(temporary: string, maildir: string): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    return await open(temporary, flags, 0o600);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  await makeMaildir(maildir);
  return open(temporary, flags, 0o600);
}

async function makeMaildir(maildir: string): Promise<void> {
  for (const part of ['tmp', 'new', 'cur']) await makeDirectories(`${maildir}/${part}`);
}

/** Makes a directory and those above it that are missing, and syncs the ones that got an entry. */
export async function makeDirectories(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const above = dirname(first);
  for (let changed = dirname(directory); ; changed = dirname(changed)) {
    await syncDirectory(changed);
    if (changed === above || changed === dirname(changed)) return;
  }
}

async function writeMessage(handle: FileHandle, order: MaildirOrder, content: AsyncIterable<Buffer>): Promise<void> {
  const { head, sizeLimit } = order;
  let size = head.length;
  let waiting: Buffer[] = [head];
  for await (const piece of content) {
    size += piece.length;
    if (sizeLimit > 0 && size > sizeLimit) throw fileTooLarge();
    waiting.push(piece);
    // The head and small content go out by one system call.
    if (waiting.length < 3) continue;
    await writeAll(handle, waiting);
    waiting = [];
  }
  if (waiting.length > 0) await writeAll(handle, waiting);
}

/** Writes all of it, however many system calls that takes. */
export async function writeAll(handle: FileHandle, pieces: readonly Buffer[]): Promise<void> {
  const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  for (let from = 0; from < whole.length; ) {
    const { bytesWritten } = await handle.write(whole, from, whole.length - from);
    from += bytesWritten;
  }
}

async function discard(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    // What stays in tmp/ is nobody's mail; mail readers remove it after 36 hours.
    if (errorCode(error) === undefined) throw error;
  }
}
