/**
 * `%s`, `%u`, `%d`, `%1`…`%9` in the queries and result formats of database tables, and the `domain` list that limits
 * which keys are asked for (mysql_table(5), pgsql_table(5), sqlite_table(5), ldap_table(5), memcache_table(5)).
 */
import { DomainList } from './match-list.ts';
import type { OpenRequest } from './open.ts';
import { type MaybePromise, TableOpenError } from './table.ts';

/** Makes a value safe at its place in a query. */
export type Quote = (value: string) => string;

/** A key and its parts. */
interface Parts {
  readonly whole: string;
  readonly localpart: string;
  /** Undefined where the key is no address. */
  readonly domain: string | undefined;
}

function partsOf(text: string): Parts {
  const at = text.lastIndexOf('@');
  if (at < 0) return { whole: text, localpart: text, domain: undefined };
  return { whole: text, localpart: text.slice(0, at), domain: text.slice(at + 1) };
}

/** Throws TableOpenError where a template has an expansion that does not exist. */
export function checkTemplate(template: string, parameter: string): void {
  const wrong = /%(?![%sudSUD1-9])./s.exec(template.replaceAll('%%', ''));
  if (wrong !== null) throw new TableOpenError(`${parameter}: invalid expansion "${wrong[0]}" in "${template}"`);
}

/**
 * The template with the key's parts filled in, undefined where the key lacks one of them: then there is nothing to ask.
 * With `value`, lower-case expansions stand for the parts of the value, as in result_format.
 */
export function expandTemplate(template: string, key: string, quote: Quote, value?: string): string | undefined {
  const keyParts = partsOf(key);
  const valueParts = value === undefined ? keyParts : partsOf(value);
  let suppressed = false;
  const need = (part: string | undefined): string => {
    if (part === undefined || part === '') suppressed = true;
    return quote(part ?? '');
  };
  const expanded = template.replace(/%([%sudSUD1-9])/g, (_, letter: string) => {
    switch (letter) {
      case '%':
        return '%';
      case 's':
        return need(valueParts.whole);
      case 'u':
        return need(valueParts.localpart);
      case 'd':
        return need(valueParts.domain);
      case 'S':
        return need(keyParts.whole);
      case 'U':
        return need(keyParts.localpart);
      case 'D':
        return need(keyParts.domain);
      default:
        return need(keyParts.domain?.split('.').at(-Number(letter)));
    }
  });
  return suppressed ? undefined : expanded;
}

/** The `domain` parameter of a table. */
export class KeyFilter {
  readonly #domains: DomainList | undefined;

  private constructor(domains: DomainList | undefined) {
    this.#domains = domains;
  }

  static async open(request: OpenRequest, domains: string): Promise<KeyFilter> {
    if (domains.trim() === '') return new KeyFilter(undefined);
    return new KeyFilter(await DomainList.open(`${request.type}:${request.name}: domain`, domains, request.context));
  }

  /** False where the table need not be asked: with a list, only full addresses in its domains are. */
  accepts(key: string): MaybePromise<boolean> {
    if (this.#domains === undefined) return true;
    const { localpart, domain } = partsOf(key);
    if (domain === undefined || domain === '' || localpart === '') return false;
    return this.#domains.matches(domain);
  }

  async close(): Promise<void> {
    await this.#domains?.close();
  }
}
