/**
 * Lists of patterns for names, domains and addresses, as mynetworks, mydestination, relay_domains or
 * smtpd_authorized_xclient_hosts hold them: names, `.domain`, networks, `[v6]/length`, `!` for "not", `/file` with more of
 * the same, and `type:table`. The first pattern that matches decides; nothing matching means no. See postconf(5) under
 * each parameter, and parent_domain_matches_subdomains.
 *
 * A pattern that cannot be evaluated is logged when it is reached and makes the answer a TableError.
 */
import { caseFold } from '../util/case-fold.ts';
import { matchesCidr, parseAddress } from '../util/ip-address.ts';
import { type Pattern, PatternList } from './match-patterns.ts';
import { type MaybePromise, type Table, type TableContext, TableError, type TableFlags } from './table.ts';

export interface MatchListOptions {
  /** `example.com` also matches its subdomains; otherwise `.example.com` says so. Off by default. */
  readonly parentDomains?: boolean;
  readonly flags?: TableFlags;
}

/** Asks patterns in order, from one on. */
function ask(
  patterns: readonly Pattern[],
  holds: (pattern: Pattern) => MaybePromise<boolean>,
  from: number,
): MaybePromise<boolean> {
  for (let at = from; at < patterns.length; at++) {
    const pattern = patterns[at]!;
    const matched = holds(pattern);
    if (matched instanceof Promise) {
      return matched.then((found) => (found ? !pattern.negated : ask(patterns, holds, at + 1)));
    }
    if (matched) return !pattern.negated;
  }
  return false;
}

/** What the three kinds of lists share: reading patterns, and asking them in order. */
abstract class MatchList implements AsyncDisposable {
  readonly parameter: string;
  protected readonly parentDomains: boolean;
  readonly #patterns: PatternList;
  readonly #context: TableContext;

  protected constructor(parameter: string, patterns: PatternList, context: TableContext, options: MatchListOptions) {
    this.parameter = parameter;
    this.#patterns = patterns;
    this.#context = context;
    this.parentDomains = options.parentDomains ?? false;
  }

  get isEmpty(): boolean {
    return this.#patterns.last.length === 0;
  }

  /** Asks the patterns in order; the first that holds says yes, or no where it is negated. */
  protected search(holds: (pattern: Pattern) => MaybePromise<boolean>): MaybePromise<boolean> {
    const patterns = this.#patterns.current();
    return patterns instanceof Promise ? patterns.then((read) => ask(read, holds, 0)) : ask(patterns, holds, 0);
  }

  /** True where the table has the key. */
  protected inTable(table: Table, key: string): MaybePromise<boolean> {
    try {
      const found = table.lookup(key);
      if (!(found instanceof Promise)) return found !== undefined;
      return found.then(
        (value) => value !== undefined,
        (error: unknown) => this.#tableProblem(table, error),
      );
    } catch (error) {
      return this.#tableProblem(table, error);
    }
  }

  #tableProblem(table: Table, error: unknown): never {
    if (!(error instanceof TableError)) throw error;
    return this.refuse(`${table.type}:${table.name}: table lookup problem`);
  }

  /** Logs what is wrong with a pattern; the answer of the list is a temporary failure. */
  protected refuse(text: string): never {
    this.#context.warn(`${this.parameter}: ${text}`);
    throw new TableError(`${this.parameter}: ${text}`);
  }

  /** True where the host name, or a parent domain where the options say so, is what the pattern names. */
  protected nameMatches(name: string, pattern: Pattern): MaybePromise<boolean> {
    if (pattern.table !== undefined) return this.#nameInTable(name, pattern.table, 0);
    const { text } = pattern;
    if (name === text) return true;
    if (!name.endsWith(text)) return false;
    return this.parentDomains ? name[name.length - text.length - 1] === '.' : text.startsWith('.');
  }

  /** Looks up the name, then the domains above it: `.parent`, or `parent` where parent domains match subdomains. */
  #nameInTable(name: string, table: Table, from: number): MaybePromise<boolean> {
    for (let at = from; at >= 0; ) {
      const next = table.partialKeys ? this.#parentAt(name, at) : -1;
      const found = this.inTable(table, name.slice(at));
      if (found instanceof Promise) {
        return found.then((yes) => yes || (next >= 0 && this.#nameInTable(name, table, next)));
      }
      if (found) return true;
      at = next;
    }
    return false;
  }

  #parentAt(name: string, at: number): number {
    const dot = name.indexOf('.', at + 1);
    if (dot < 0) return -1;
    return this.parentDomains ? dot + 1 : dot;
  }

  async close(): Promise<void> {
    await this.#patterns.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Exact strings and tables, such as smtpd_restriction_classes or debug names. */
export class StringList extends MatchList {
  static async open(
    parameter: string,
    patterns: string,
    context: TableContext,
    options: MatchListOptions = {},
  ): Promise<StringList> {
    return new StringList(
      parameter,
      await PatternList.open(parameter, patterns, context, options.flags),
      context,
      options,
    );
  }

  /** Rejects with TableError on a temporary failure. */
  matches(text: string): MaybePromise<boolean> {
    const folded = caseFold(text);
    return this.search((pattern) => (pattern.table ? this.inTable(pattern.table, folded) : pattern.text === folded));
  }
}

/** Host and domain names, such as relay_domains or mydestination. */
export class DomainList extends MatchList {
  static async open(
    parameter: string,
    patterns: string,
    context: TableContext,
    options: MatchListOptions = {},
  ): Promise<DomainList> {
    return new DomainList(
      parameter,
      await PatternList.open(parameter, patterns, context, options.flags),
      context,
      options,
    );
  }

  /** Rejects with TableError on a temporary failure. */
  matches(domain: string): MaybePromise<boolean> {
    const folded = caseFold(domain);
    return this.search((pattern) => this.nameMatches(folded, pattern));
  }
}

/** Clients by host name or address, such as mynetworks. */
export class NamaddrList extends MatchList {
  static async open(
    parameter: string,
    patterns: string,
    context: TableContext,
    options: MatchListOptions = {},
  ): Promise<NamaddrList> {
    return new NamaddrList(
      parameter,
      await PatternList.open(parameter, patterns, context, options.flags),
      context,
      options,
    );
  }

  /** Rejects with TableError on a temporary failure. The address is in its text form, without brackets. */
  matches(name: string, address: string): MaybePromise<boolean> {
    const host = caseFold(name);
    const text = caseFold(address);
    const bytes = parseAddress(text);
    return this.search((pattern) => {
      const named = this.nameMatches(host, pattern);
      if (!(named instanceof Promise)) return named || this.#addressMatches(text, bytes, pattern);
      return named.then((yes) => yes || this.#addressMatches(text, bytes, pattern));
    });
  }

  #addressMatches(text: string, bytes: Uint8Array | undefined, pattern: Pattern): MaybePromise<boolean> {
    if (pattern.table !== undefined) return this.inTable(pattern.table, text);
    if (text === pattern.text) return true;
    const { address } = pattern;
    // A pattern of the other family cannot match, whatever else is wrong with it.
    if (address === undefined || text.includes(':') !== pattern.text.includes(':')) return false;
    if ('error' in address) return this.refuse(address.error);
    return bytes !== undefined && matchesCidr(bytes, address);
  }
}
