/**
 * smtpd_dns_reply_filter, smtp_dns_reply_filter and their like (postconf(5)): a table that is asked for each record of an
 * answer in its text form, `name. ttl IN type data`, and that may say IGNORE. An answer of which nothing is left has the
 * status `filtered`. Null MX records are not filtered, since they say that there is nothing to use.
 *
 * Logs each record that is ignored. Any other action in the table is a warning, and the answer a temporary failure.
 */
import type { Maps } from '../tables/maps.ts';
import { TableError } from '../tables/table.ts';
import type { Log } from '../util/log.ts';
import type { Answer, AnswerStatus, Lookup, MxData, RecordData, RecordType, SrvData, TlsaData } from './answer.ts';

export interface FilteredAnswer<T extends RecordType> extends Omit<Answer<T>, 'status'> {
  readonly status: AnswerStatus | 'filtered';
}

/** What is said of an answer whose records the filter drops, all of them, and of a filter that cannot be read. */
export const FILTERED = 'DNS reply filter drops all results';
export const FILTER_SYNTAX = 'Invalid DNS reply filter syntax';

/** What is asked where the answers may be filtered. */
export class FilteredLookup {
  readonly #lookup: Lookup;
  readonly #filter: Maps;
  readonly #log: Log;

  /** The parameter that the table came from names it in the log. */
  constructor(lookup: Lookup, filter: Maps, log: Log) {
    this.#lookup = lookup;
    this.#filter = filter;
    this.#log = log;
  }

  async query<T extends RecordType>(name: string, type: T): Promise<FilteredAnswer<T>> {
    const answer = await this.#lookup.query(name, type);
    if (answer.status !== 'found' || this.#filter.isEmpty || isNullMx(answer, type)) return answer;
    const records: RecordData[T][] = [];
    for (const record of answer.records) {
      const text = `${answer.canonicalName}. ${answer.ttl} IN ${type} ${dataText(record)}`;
      const action = await this.#action(text);
      if (action === 'ignore') this.#log.info(`ignoring DNS RR: ${text}`);
      else if (action === 'error') {
        return { ...answer, status: 'retry', records: [], problem: FILTER_SYNTAX };
      } else records.push(record);
    }
    if (records.length > 0) return { ...answer, records };
    return { ...answer, status: 'filtered', records, problem: FILTERED };
  }

  async #action(text: string): Promise<'keep' | 'ignore' | 'error'> {
    try {
      const value = await this.#filter.lookup(text);
      if (value === undefined) return 'keep';
      const [action = ''] = value.trim().split(/[ \t]/, 1);
      if (action.toUpperCase() === 'IGNORE') return 'ignore';
      this.#log.warning(`${this.#filter.parameter}: unknown DNS filter action: "${action}"`);
      return 'error';
    } catch (error) {
      if (error instanceof TableError) return 'error';
      throw error;
    }
  }
}

function isNullMx(answer: Answer<RecordType>, type: RecordType): boolean {
  return type === 'MX' && answer.records.length === 1 && (answer.records[0] as MxData).exchange === '';
}

/** The data of a record as zone files write it. */
function dataText(record: string | MxData | SrvData | TlsaData): string {
  if (typeof record === 'string') return record;
  if ('exchange' in record) return `${record.preference} ${record.exchange}.`;
  if ('target' in record) return `${record.priority} ${record.weight} ${record.port} ${record.target}.`;
  return `${record.usage} ${record.selector} ${record.matchingType} ${record.certificate.toString('hex').toUpperCase()}`;
}
