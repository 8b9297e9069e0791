/**
 * A user's .forward file: the first one of forward_path that is there. It is read with the rights of the user, and used only
 * where it belongs to the user or the superuser and is not world writable. See local(8), forward_path.
 *
 * Logs a warning for a file that cannot be read or trusted; mail then goes to the mailbox.
 */
import type { MailboxWriters } from '../../lib/delivery/mailbox-writers.ts';
import type { Log } from '../../lib/util/log.ts';
import type { User } from '../../lib/util/passwd.ts';
import { type Destination, parseDestinationLines } from './destination.ts';
import { expandForRecipient } from './macros.ts';
import type { LocalRecipient } from './recipient.ts';
import type { LocalSettings } from './settings.ts';

/** Octets. */
const SIZE_LIMIT = 262_144;

export interface ForwardFile {
  readonly path: string;
  readonly destinations: readonly Destination[];
  /** The name of the file holds the extension. */
  readonly extensionMatched: boolean;
}

interface ForwardFileParts {
  readonly settings: LocalSettings;
  readonly writers: MailboxWriters;
  readonly log: Log;
}

/**
 * The first file of forward_path that is there; undefined where none is, or it is empty, or it cannot be trusted; `later`
 * where it cannot be read for now.
 */
export async function readForwardFile(
  parts: ForwardFileParts,
  recipient: LocalRecipient,
  user: User,
): Promise<ForwardFile | 'later' | undefined> {
  const { settings, writers, log } = parts;
  const rights = settings.owner === 'recipient' ? { uid: user.uid, gid: user.gid } : undefined;
  for (const pattern of settings.forwardPath.split(/[,\s]+/)) {
    const path = expandForRecipient(pattern, recipient, user, settings.forwardFilter);
    if (!path.startsWith('/') || (pattern.includes('home') && user.home === '')) continue;
    const file = await writers.readFile(rights, path, SIZE_LIMIT);
    if (file.found === 'nothing') continue;
    if (file.found === 'error') {
      log.warning(file.reason);
      if (file.temporary) return 'later';
      continue;
    }
    if (file.writableByAll || (file.uid !== user.uid && file.uid !== 0)) {
      log.warning(`file ${path} is ${file.writableByAll ? 'world writable' : `not owned by ${user.name}`}: not used`);
      continue;
    }
    const destinations = parseDestinationLines(file.data.toString('utf8'));
    if (destinations.length === 0) return undefined;
    return {
      path,
      destinations,
      extensionMatched: pattern.includes('extension') && recipient.extension !== undefined,
    };
  }
  return undefined;
}
