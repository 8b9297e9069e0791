/**
 * Delivery in mbox format: the message is appended to one file under a lock, synced, and only then delivered. Where
 * something goes wrong the file is cut back to the size that it had. See mbox(5) and local(8), MAILBOX DELIVERY.
 *
 * The file must be a regular file with one name, opened without following a symbolic link, so that nobody can make the
 * mail system write elsewhere. Devices are written to where the order allows it, as for `/dev/null` in an alias.
 *
 * Known limits: a message whose attempt was killed after the write and before the answer is appended again by the next
 * one; a kill during the write leaves a part of the message in the file. Locks: see dotlock.ts.
 *
 * Side effects: files. Never throws for what the file system does; see MailboxOutcome.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './directory-sync.ts';
import { lockMailbox, takeTurn } from './dotlock.ts';
import type { MailboxOutcome, MboxOrder } from './mailbox-order.ts';
import { makeDirectories, writeAll } from './maildir.ts';
import { errorCode, errorText, fileTooLarge, mailboxStatus } from './system-error.ts';

/** Appends one message; `content` has the format's changes applied already (copyContent). */
export async function deliverToMbox(order: MboxOrder, content: AsyncIterable<Buffer>): Promise<MailboxOutcome> {
  const done = await takeTurn(order.path);
  try {
    return await append(order, content);
  } finally {
    done();
  }
}

async function append(order: MboxOrder, content: AsyncIterable<Buffer>): Promise<MailboxOutcome> {
  const { path } = order;
  const release = await lock(order);
  if ('delivered' in release) return release;
  try {
    let opened: Opened;
    try {
      opened = await openMailbox(order);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return failed(error, `unable to open ${path}: ${errorText(error)}`);
    }
    try {
      const refusal = await unsuitable(opened.handle, order);
      return refusal ?? (await write(opened, order, content));
    } finally {
      await opened.handle.close();
    }
  } finally {
    await release.unlock();
  }
}

function failed(error: unknown, reason: string): MailboxOutcome {
  return { delivered: false, status: mailboxStatus(error), reason };
}

async function lock(order: MboxOrder): Promise<MailboxOutcome | { unlock: () => Promise<void> }> {
  const { path } = order;
  const unlocked = { unlock: async () => {} };
  if (order.allowSpecial && (await isSpecial(path))) return unlocked;
  try {
    if (order.makeDirectories) await makeDirectories(dirname(path));
    return { unlock: await lockMailbox(path, order.lock) };
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    if (order.lock.mayFail && (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')) return unlocked;
    return failed(error, `unable to create lock file ${path}.lock: ${errorText(error)}`);
  }
}

async function isSpecial(path: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return false;
  }
  try {
    return (await handle.stat()).isCharacterDevice();
  } finally {
    await handle.close();
  }
}

interface Opened {
  readonly handle: FileHandle;
  /** The file has no entry on disk yet. */
  readonly created: boolean;
}

async function openMailbox({ path, giveTo }: MboxOrder): Promise<Opened> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return { handle: await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK), created: false };
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  const handle = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    if (giveTo !== undefined) await handle.chown(giveTo.uid, giveTo.gid);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return { handle, created: true };
}

/** Why the file must not be written to, if so. */
async function unsuitable(handle: FileHandle, order: MboxOrder): Promise<MailboxOutcome | undefined> {
  const stat = await handle.stat();
  const refuse = (reason: string): MailboxOutcome => ({ delivered: false, status: '4.2.0', reason });
  if (order.allowSpecial && stat.isCharacterDevice()) return undefined;
  if (!stat.isFile()) return refuse(`destination ${order.path} is not a regular file`);
  if (stat.nlink !== 1) return refuse(`destination ${order.path} has multiple links`);
  if (order.owner !== undefined && stat.uid !== order.owner) {
    return refuse(`destination ${order.path} is not owned by recipient`);
  }
  return undefined;
}

async function write(
  { handle, created }: Opened,
  order: MboxOrder,
  content: AsyncIterable<Buffer>,
): Promise<MailboxOutcome> {
  const stat = await handle.stat();
  const regular = stat.isFile();
  let size = regular ? stat.size : 0;
  const add = async (piece: Buffer): Promise<void> => {
    size += piece.length;
    if (regular && order.sizeLimit > 0 && size > order.sizeLimit) throw fileTooLarge();
    await writeAll(handle, [piece]);
  };
  try {
    await add(order.head);
    for await (const piece of content) await add(piece);
    if (regular) await handle.datasync();
    if (created) await syncDirectory(dirname(order.path));
    return { delivered: true };
  } catch (error) {
    if (regular) await handle.truncate(stat.size);
    if (errorCode(error) === undefined) throw error;
    return failed(error, `error writing message: ${errorText(error)}`);
  }
}
