/**
 * Addresses resolved by trivial-rewrite(8) for the checks of a session: rewritten to their full form, then resolved.
 * What was asked lately is answered from memory and at once, so a busy server asks once a second for a busy address;
 * whoever asks while an answer is under way shares it. A change of tables is seen within `LIFETIME`.
 *
 * Throws nothing: a service that is away is a reply with `ResolveFlag.FAIL`.
 */
import type { ResolveReply, TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import type { Log } from '../../lib/util/log.ts';

/** Milliseconds for which an answer is used. */
const LIFETIME = 1000;
/** Answers kept; the oldest go first. */
const ENTRIES = 5000;

interface Entry {
  readonly until: number;
  readonly answer: ResolveReply | Promise<ResolveReply>;
}

export class ResolveCache {
  readonly #rewrite: TrivialRewrite;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(rewrite: TrivialRewrite, log: Log, now: () => number = Date.now) {
    this.#rewrite = rewrite;
    this.#log = log;
    this.#now = now;
  }

  /** The address class, transport and full form of an address; `rule` is the rewriting context of the client. */
  resolve(address: string, sender: string, rule: 'local' | 'remote'): ResolveReply | Promise<ResolveReply> {
    const key = `${rule}\0${sender}\0${address}`;
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.until > this.#now()) return entry.answer;
    const answer = this.#ask(address, sender, rule, key);
    this.#keep(key, answer);
    return answer;
  }

  async #ask(address: string, sender: string, rule: string, key: string): Promise<ResolveReply> {
    try {
      // An address without anything to complete is its own full form.
      const [full] = await this.#rewrite.rewrite([{ rule, address, external: false }]);
      const [reply] = await this.#rewrite.resolve([{ kind: 'resolve', sender, address: full ?? address }]);
      if (reply === undefined) throw new Error('no reply');
      this.#keep(key, reply);
      return reply;
    } catch (error) {
      this.#log.warning(
        `problem talking to service rewrite: ${error instanceof Error ? error.message : String(error)}`,
      );
      this.#entries.delete(key);
      return { transport: '', nexthop: '', recipient: address, flags: ResolveFlag.FAIL };
    }
  }

  #keep(key: string, answer: ResolveReply | Promise<ResolveReply>): void {
    this.#entries.delete(key);
    if (this.#entries.size >= ENTRIES) {
      const oldest = this.#entries.keys().next();
      if (oldest.done === false) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, { until: this.#now() + LIFETIME, answer });
  }
}
