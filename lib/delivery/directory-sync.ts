/**
 * fsync of directories, shared: whoever asks while one is under way for the same directory waits for the next one, and
 * all who wait get it together. A mailbox into which a hundred messages arrive at once pays two or three, not a hundred.
 *
 * Rejects with the error of open or fsync; all who shared it get it.
 */
import { open } from 'node:fs/promises';

interface Turn {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

const turns = new Map<string, Turn>();

async function syncNow(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Resolves when every change made to the directory before this call is on disk. */
export function syncDirectory(directory: string): Promise<void> {
  const turn = turns.get(directory);
  if (turn === undefined) {
    const made: Turn = { running: syncNow(directory), next: undefined };
    turns.set(directory, made);
    endTurn(directory, made);
    return made.running;
  }
  turn.next ??= turn.running.then(
    () => syncNow(directory),
    () => syncNow(directory),
  );
  return turn.next;
}

function endTurn(directory: string, turn: Turn): void {
  const step = (): void => {
    if (turn.next === undefined) {
      turns.delete(directory);
      return;
    }
    turn.running = turn.next;
    turn.next = undefined;
    turn.running.then(step, step);
  };
  turn.running.then(step, step);
}
