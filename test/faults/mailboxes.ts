/** The maildirs of a run, read back. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Arrival } from './messages.ts';

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // It is made by the first delivery.
    return [];
  }
}

/** Reads what has come since it was asked last. */
export class Mailbox {
  readonly #folder: string;
  readonly #seen = new Set<string>();

  constructor(mailDirectory: string, name: string) {
    this.#folder = join(mailDirectory, name, 'new');
  }

  /** Messages in it. */
  get count(): number {
    return names(this.#folder).length;
  }

  fresh(): Arrival[] {
    return names(this.#folder)
      .filter((name) => !this.#seen.has(name))
      .map((name) => {
        this.#seen.add(name);
        const path = join(this.#folder, name);
        const content = readFileSync(path, 'latin1');
        const recipient = /^(?:X-Original-To|Delivered-To): (\S+)/m.exec(content)?.[1] ?? '';
        const ended = Math.round(statSync(path).mtimeMs);
        return { content, recipients: [recipient], began: ended, ended };
      });
  }
}
