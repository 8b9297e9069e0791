/**
 * Ownership and permissions of what an instance keeps: its state directory, its secrets, and the configuration. Reads the
 * directories and says what would let another user of the machine read secrets or change mail.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const GROUP_OTHER_WRITE = 0o022;
const GROUP_OTHER_ANY = 0o077;

/** Directories of the state that nobody else may enter. */
const PRIVATE = ['secret', 'run'];
const PARTS = [...PRIVATE, 'mail', 'nats', 'postgres'];

/** One line for each problem; none where there is no such directory. */
export function stateProblems(stateDirectory: string): string[] {
  if (!existsSync(stateDirectory)) return [];
  const { uid } = statSync(stateDirectory);
  const parts = PARTS.map((part) => join(stateDirectory, part)).filter((path) => existsSync(path));
  const closed = PRIVATE.map((part) => join(stateDirectory, part)).filter((path) => existsSync(path));
  return [
    ...writable(stateDirectory),
    ...parts.flatMap((path) => [...notOwnedBy(uid, path), ...writable(path)]),
    ...closed.flatMap(open),
    ...filesIn(join(stateDirectory, 'secret')).flatMap((path) => [...notOwnedBy(uid, path), ...open(path)]),
  ];
}

/** main.cf, master.cf and their directory: whoever can write them can have any command run. */
export function configurationProblems(directory: string): string[] {
  return [directory, join(directory, 'main.cf'), join(directory, 'master.cf')].filter(existsSync).flatMap(writable);
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    // Missing, or somebody else's: the directory itself has been spoken of.
    return [];
  }
}

function notOwnedBy(uid: number, path: string): string[] {
  return statSync(path).uid === uid ? [] : [`not owned by uid ${uid}: ${path}`];
}

function writable(path: string): string[] {
  return (statSync(path).mode & GROUP_OTHER_WRITE) === 0 ? [] : [`group or other writable: ${path}`];
}

function open(path: string): string[] {
  return (statSync(path).mode & GROUP_OTHER_ANY) === 0 ? [] : [`group or other accessible: ${path}`];
}
