/**
 * What restrictions are made from: the settings, the lists and the services that they ask. Made once when the service
 * opens; a reload makes another one.
 */
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import type { Configuration } from '../../../lib/config/settings.ts';
import type { FilteredLookup } from '../../../lib/dns/reply-filter.ts';
import type { Table, TableContext } from '../../../lib/tables/table.ts';
import type { Subject } from './subject.ts';
import type { MaybePromise, RefusalSettings, Verdict } from './verdict.ts';

export interface RestrictionEnvironment extends RefusalSettings {
  readonly configuration: Configuration;
  readonly tables: TableContext;
  /** Throws, or rejects with, TableError on a temporary failure. */
  readonly mynetworks: { matches(name: string, address: string): MaybePromise<boolean> };
  /** trivial-rewrite(8): never rejects, a failure is a flag of the reply. */
  resolve(address: string, sender: string, rule: 'local' | 'remote'): MaybePromise<ResolveReply>;
  /** The DNS, behind smtpd_dns_reply_filter. */
  readonly dns: FilteredLookup;
  /** Opens a table once, however many restrictions name it. */
  openTable(spec: string): Promise<Table>;
}

/** The list that a restriction stands in: it decides what a bare `reject` refuses. */
export type ListKind = 'client' | 'helo' | 'sender' | 'recipient' | 'relay' | 'data' | 'end-of-data' | 'etrn';

/** One restriction, ready to run. */
export type Check = (subject: Subject) => MaybePromise<Verdict>;

/** Makes a restriction; `argument` is the word after its name where it takes one. */
export interface Restriction {
  readonly argument?: true;
  make(environment: RestrictionEnvironment, kind: ListKind, argument: string): Check | Promise<Check>;
}

export type RestrictionTable = Readonly<Record<string, Restriction>>;
