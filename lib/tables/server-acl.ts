/**
 * Access lists for client addresses before any SMTP is spoken, such as postscreen_access_list:
 * `permit_mynetworks`, `permit`, `reject`, `dunno` and tables whose result is one of the latter three; the first decision
 * ends the list (postconf(5), postscreen_access_list).
 */
import { splitOutsideBraces } from '../util/split.ts';
import type { NamaddrList } from './match-list.ts';
import { openTable } from './open.ts';
import { type Table, type TableContext, TableError } from './table.ts';

/** `dunno`: the list decides nothing. `error`: a table failed, or an entry means nothing. */
export type AclDecision = 'permit' | 'reject' | 'dunno' | 'error';

type Entry = { readonly table: Table } | { readonly word: string };

export class ServerAcl implements AsyncDisposable {
  readonly #parameter: string;
  readonly #entries: readonly Entry[];
  readonly #mynetworks: NamaddrList;
  readonly #context: TableContext;

  private constructor(parameter: string, entries: readonly Entry[], mynetworks: NamaddrList, context: TableContext) {
    this.#parameter = parameter;
    this.#entries = entries;
    this.#mynetworks = mynetworks;
    this.#context = context;
  }

  static async open(
    parameter: string,
    list: string,
    mynetworks: NamaddrList,
    context: TableContext,
  ): Promise<ServerAcl> {
    const entries: Entry[] = [];
    for (const item of splitOutsideBraces(list)) {
      entries.push(item.includes(':') ? { table: await openTable(item, context) } : { word: item });
    }
    return new ServerAcl(parameter, entries, mynetworks, context);
  }

  /** The decision for a client address in its text form. Failures are logged and are a decision of their own. */
  async decide(address: string): Promise<AclDecision> {
    for (const entry of this.#entries) {
      const decision =
        'table' in entry ? await this.#fromTable(entry.table, address) : await this.#fromWord(entry.word, address);
      if (decision !== 'dunno') return decision;
    }
    return 'dunno';
  }

  async #fromTable(table: Table, address: string): Promise<AclDecision> {
    try {
      const result = await table.lookup(address);
      return result === undefined ? 'dunno' : await this.#fromWord(result, address);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return this.#ignoreRest(`${table.type}:${table.name}: lookup error`);
    }
  }

  async #fromWord(word: string, address: string): Promise<AclDecision> {
    switch (word.trim().toLowerCase()) {
      case 'permit':
        return 'permit';
      case 'reject':
        return 'reject';
      case 'dunno':
        return 'dunno';
      case 'permit_mynetworks':
        return await this.#fromNetworks(address);
      default:
        return this.#ignoreRest(`unknown command: ${word}`);
    }
  }

  async #fromNetworks(address: string): Promise<AclDecision> {
    try {
      return (await this.#mynetworks.matches('', address)) ? 'permit' : 'dunno';
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return this.#ignoreRest('mynetworks lookup error');
    }
  }

  #ignoreRest(text: string): AclDecision {
    this.#context.warn(`${this.#parameter}: ${text} -- ignoring the remainder of this access list`);
    return 'error';
  }

  async close(): Promise<void> {
    for (const entry of this.#entries) if ('table' in entry) await entry.table.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
