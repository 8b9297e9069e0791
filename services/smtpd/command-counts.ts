/** How often each command was given in a session, and how often it went well: the end of the `disconnect from` line. */
import { COMMAND_NAMES } from './commands.ts';

const NONE: readonly number[] = COMMAND_NAMES.map(() => 0);

/** Replies below 400 are good, but for the one that sends away who does not speak SMTP. */
export function isGoodReply(reply: string): boolean {
  return reply.charCodeAt(0) < 52 && !reply.startsWith('221 2.7');
}

export class CommandCounts {
  readonly #good = NONE.slice();
  readonly #all = NONE.slice();

  /** `index` is the place in COMMAND_NAMES. */
  add(index: number, good: boolean): void {
    this.#all[index]! += 1;
    if (good) this.#good[index]! += 1;
  }

  /** ` ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4` */
  toString(): string {
    let text = '';
    let good = 0;
    let all = 0;
    for (let at = 0; at < COMMAND_NAMES.length; at++) {
      const total = this.#all[at]!;
      if (total === 0) continue;
      const ok = this.#good[at]!;
      good += ok;
      all += total;
      text += ` ${COMMAND_NAMES[at]!.toLowerCase()}=${ok === total ? ok : `${ok}/${total}`}`;
    }
    return `${text} commands=${good === all && all > 0 ? good : `${good}/${all}`}`;
  }
}
