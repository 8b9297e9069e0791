/**
 * Answers of the DNS, as the services see them.
 */

export type RecordType = 'A' | 'AAAA' | 'CNAME' | 'MX' | 'NS' | 'PTR' | 'SOA' | 'SRV' | 'TLSA' | 'TXT';

export interface MxData {
  readonly preference: number;
  /** Lower case, without the last dot; empty for "." (RFC 7505). */
  readonly exchange: string;
}

export interface TlsaData {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly certificate: Buffer;
}

export interface SrvData {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** What the data of each type looks like. Names are in lower case, without the last dot; TXT strings are one text. */
export interface RecordData {
  readonly A: string;
  readonly AAAA: string;
  readonly CNAME: string;
  readonly MX: MxData;
  readonly NS: string;
  readonly PTR: string;
  readonly SOA: string;
  readonly SRV: SrvData;
  readonly TLSA: TlsaData;
  readonly TXT: string;
}

/**
 * `found`: records; `no-data`: the name exists, without such records; `not-found`: no such name; `retry`: no usable answer
 * came, another time one may; `invalid`: the question is no domain name.
 */
export type AnswerStatus = 'found' | 'no-data' | 'not-found' | 'retry' | 'invalid';

export interface Answer<T extends RecordType> {
  readonly status: AnswerStatus;
  readonly records: readonly RecordData[T][];
  /** Did the name server validate the answer (the AD bit)? */
  readonly authentic: boolean;
  /** The name at the end of a chain of aliases, or the name that was asked for. */
  readonly canonicalName: string;
  /** Seconds for which it holds. */
  readonly ttl: number;
  /** Why there is no answer, for `retry`. */
  readonly problem?: string;
}

/** Who answers questions: the resolver, or a table in tests. */
export interface Lookup {
  query<T extends RecordType>(name: string, type: T): Answer<T> | Promise<Answer<T>>;
}
