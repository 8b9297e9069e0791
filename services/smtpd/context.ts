/**
 * What all sessions of a service share: settings, access policy, caches, clients of other services. Made once from the
 * ServiceContext; tests give parts of their own in `overrides`.
 */
import { lookup, lookupService } from 'node:dns';
import { promisify } from 'node:util';
import type { Cleanup, Queue } from '../../lib/clients/protocols.ts';
import type { Lookup } from '../../lib/dns/answer.ts';
import { FilteredLookup } from '../../lib/dns/reply-filter.ts';
import { Resolver } from '../../lib/dns/resolver.ts';
import { createQueueIdGenerator, type QueueIdGenerator } from '../../lib/mail/queue-id.ts';
import { queuePath } from '../../lib/queue/space.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { tableContext } from '../../lib/server/table-context.ts';
import type { Tracing } from '../../lib/server/tracing.ts';
import type { ProxyAddresses } from '../../lib/smtp/proxy-protocol.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { DomainList, NamaddrList, StringList } from '../../lib/tables/match-list.ts';
import { openMaps, openTable } from '../../lib/tables/open.ts';
import { type Table, TableError } from '../../lib/tables/table.ts';
import type { Log } from '../../lib/util/log.ts';
import { ActiveClients } from './active-clients.ts';
import { ClientCounts } from './client-counts.ts';
import { ClientList } from './client-list.ts';
import { ehloReply, parseDiscard } from './ehlo-keywords.ts';
import { type HostLookup, PeerNames } from './peer.ts';
import { FreeSpace } from './queue-space.ts';
import { type Footer, openFooter } from './reject-footer.ts';
import { ResolveCache } from './resolve-cache.ts';
import type { RestrictionEnvironment } from './restrictions/environment.ts';
import { AccessPolicy } from './restrictions/policy.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';
import { SessionMetrics } from './session-metrics.ts';
import { compileSettings, type SmtpdSettings } from './settings.ts';
import type { Transaction } from './transaction.ts';

export interface Overrides {
  readonly hosts?: HostLookup;
  readonly dns?: Lookup;
}

const lookupAddress = promisify(lookup);
const lookupName = promisify(lookupService);

/** The system's own name service: /etc/hosts first, as nsswitch.conf says. */
const systemHosts: HostLookup = {
  reverse: async (address) => {
    const { hostname } = await lookupName(address, 0);
    if (hostname === address) throw Object.assign(new Error('no name'), { code: 'ENOTFOUND' });
    return [hostname];
  },
  addresses: async (name) => (await lookupAddress(name, { all: true })).map(({ address }) => address),
};

export class SmtpdContext implements AsyncDisposable {
  readonly name: string;
  readonly settings: SmtpdSettings;
  /** The settings while every session is taken. */
  readonly stressed: SmtpdSettings;
  readonly log: Log;
  readonly metrics: SessionMetrics;
  readonly tracing: Tracing;
  readonly policy: AccessPolicy;
  readonly counts: ClientCounts;
  readonly freeSpace: FreeSpace;
  readonly activeClients = new ActiveClients();
  readonly signal: AbortSignal;
  readonly discard: ReadonlySet<string>;
  readonly #service: ServiceContext;
  readonly #lists: SessionLists;
  readonly #footer: Footer | undefined;
  readonly #peers: PeerNames;
  readonly #nextQueueId: QueueIdGenerator;
  readonly #ehlo = new Map<string, string>();
  readonly #sessions = new Set<Session>();

  private constructor(service: ServiceContext, policy: AccessPolicy, lists: SessionLists, overrides: Overrides) {
    const { configuration } = service;
    this.name = service.name;
    this.#service = service;
    this.#lists = lists;
    this.#footer = lists.footer;
    this.log = service.log;
    this.metrics = new SessionMetrics(service.metrics, service.name, service.signal);
    this.tracing = service.tracing;
    this.signal = service.signal;
    this.policy = policy;
    this.settings = compileSettings(configuration);
    this.stressed = compileSettings(configuration.withOverrides(new Map([['stress', 'yes']])));
    const hosts = this.settings.peernameLookup ? (overrides.hosts ?? systemHosts) : undefined;
    this.#peers = new PeerNames(hosts, (text) => this.log.warning(text));
    this.#nextQueueId = createQueueIdGenerator();
    this.counts = new ClientCounts(
      () => service.clients.anvil(),
      this.settings,
      service.name,
      service.log,
      service.signal,
    );
    this.freeSpace = new FreeSpace(queuePath(configuration));
    this.discard = parseDiscard(this.settings.discardEhloKeywords, (text) => this.log.warning(text)).discard;
    (service.closing ?? service.signal).addEventListener('abort', () => this.#shutDown(), { once: true });
  }

  static async open(service: ServiceContext, overrides: Overrides = {}): Promise<SmtpdContext> {
    const { configuration, log, signal } = service;
    const tables = tableContext(service);
    const resolved = new ResolveCache(service.clients.rewrite(), log);
    const opened = new Map<string, Promise<Table>>();
    const openOnce = (spec: string): Promise<Table> => {
      const table = opened.get(spec) ?? openTable(spec, tables);
      opened.set(spec, table);
      return table;
    };
    const parents = configuration.list('parent_domain_matches_subdomains');
    const clients = async (parameter: string): Promise<ClientList> => {
      const options = { parentDomains: parents.includes(parameter) };
      return new ClientList(await NamaddrList.open(parameter, configuration.text(parameter), tables, options));
    };
    const filter = await openMaps('smtpd_dns_reply_filter', configuration.text('smtpd_dns_reply_filter'), tables);
    const mynetworks = await clients('mynetworks');
    const environment: RestrictionEnvironment = {
      configuration,
      log,
      softBounce: configuration.boolean('soft_bounce'),
      tables,
      mynetworks,
      resolve: (address, sender, rule) => resolved.resolve(address, sender, rule),
      dns: new FilteredLookup(
        overrides.dns ?? new Resolver({ servers: configuration.list('postfleet_dns_servers') }),
        filter,
        log,
      ),
      openTable: openOnce,
    };
    const lists: SessionLists = {
      mynetworks,
      bareNewlineExclusions: await clients('smtpd_forbid_bare_newline_exclusions'),
      eventExceptions: await clients('smtpd_client_event_limit_exceptions'),
      xclientHosts: await clients('smtpd_authorized_xclient_hosts'),
      xforwardHosts: await clients('smtpd_authorized_xforward_hosts'),
      forbidden: await StringList.open(
        'smtpd_forbidden_commands',
        configuration.text('smtpd_forbidden_commands'),
        tables,
      ),
      flushed: await DomainList.open('fast_flush_domains', configuration.text('fast_flush_domains'), tables, {
        parentDomains: parents.includes('fast_flush_domains'),
      }),
      footer: await openFooter(configuration, tables),
      discardByAddress: await openMaps(
        'smtpd_discard_ehlo_keyword_address_maps',
        configuration.text('smtpd_discard_ehlo_keyword_address_maps'),
        tables,
      ),
      commandFilter: await openMaps('smtpd_command_filter', configuration.text('smtpd_command_filter'), tables),
    };
    signal.throwIfAborted();
    return new SmtpdContext(service, await AccessPolicy.open(environment), lists, overrides);
  }

  cleanup(): Cleanup {
    return this.#service.clients.cleanup();
  }

  /** Whether ETRN may ask for the mail of a site; throws, or rejects with, TableError. */
  isFlushed(site: string): MaybePromise<boolean> {
    return this.#lists.flushed.matches(site);
  }

  queue(): Queue {
    return this.#service.clients.queue();
  }

  /** Finds out who the client is, and gives the greeting. */
  identify(session: Session, proxied: ProxyAddresses | undefined): MaybePromise<string> {
    this.#sessions.add(session);
    this.metrics.opened();
    const { remoteAddress, remotePort } = session.connection;
    const peer = this.#peers.peer(
      proxied?.clientAddress ?? remoteAddress ?? 'unknown',
      proxied?.clientPort ?? remotePort ?? 0,
    );
    if (peer instanceof Promise) {
      return peer.then((found) => {
        session.identify(found);
        return this.#connected(session);
      });
    }
    session.identify(peer);
    return this.#connected(session);
  }

  #connected(session: Session): MaybePromise<string> {
    if (session.gone) return '';
    const { peer } = session.subject;
    const port = this.settings.portLogging ? `:${peer.port}` : '';
    this.log.info(`connect from ${session.client}${port}`);
    // A host that speaks for others would be counted under one address and forgotten under another.
    const exempt = this.#listed(this.#lists.eventExceptions, session);
    const proxy = this.#listed(this.#lists.xclientHosts, session);
    if (exempt instanceof Promise || proxy instanceof Promise)
      return Promise.all([exempt, proxy]).then((either) => this.#countedConnection(session, either.includes(true)));
    return this.#countedConnection(session, exempt || proxy);
  }

  #countedConnection(session: Session, exempt: boolean): MaybePromise<string> {
    // Whoever was counted after it left would be counted for good.
    if (session.gone) return '';
    session.counted = !exempt;
    if (exempt || !this.counts.connections) return this.greet(session);
    return this.counts.connect(session).then((refusal) => refusal ?? this.greet(session));
  }

  /** The greeting, after the restrictions for clients; also after XCLIENT. */
  greet(session: Session): MaybePromise<string> {
    const excluded = this.#listed(this.#lists.bareNewlineExclusions, session);
    const mayXclient = this.#listed(this.#lists.xclientHosts, session);
    const mayXforward = this.#listed(this.#lists.xforwardHosts, session);
    const discard = this.#discardFor(session);
    const refusal = this.policy.connect(session.subject);
    const finish = (
      noBareNewline: boolean,
      xclient: boolean,
      xforward: boolean,
      keywords: ReadonlySet<string>,
      reply: string | undefined,
    ): string => {
      session.bareNewlineExcluded = noBareNewline;
      session.discard = keywords;
      session.mayXclient ||= xclient;
      session.mayXforward ||= xforward;
      return reply ?? `220 ${this.settings.banner}`;
    };
    if (
      excluded instanceof Promise ||
      mayXclient instanceof Promise ||
      mayXforward instanceof Promise ||
      discard instanceof Promise ||
      refusal instanceof Promise
    ) {
      return Promise.all([excluded, mayXclient, mayXforward, discard, refusal]).then((all) => finish(...all));
    }
    return finish(excluded, mayXclient, mayXforward, discard, refusal);
  }

  /** The keywords that this client is not offered. */
  #discardFor(session: Session): MaybePromise<ReadonlySet<string>> {
    const maps = this.#lists.discardByAddress;
    if (maps.isEmpty) return this.discard;
    const parse = (text: string | undefined): ReadonlySet<string> =>
      text === undefined ? this.discard : parseDiscard(text, (problem) => this.log.warning(problem)).discard;
    // What a client is offered is no reason to turn it away.
    const failed = (error: unknown): ReadonlySet<string> => {
      notAsked(error);
      return this.discard;
    };
    try {
      const found = maps.lookup(session.subject.peer.address);
      return found instanceof Promise ? found.then(parse, failed) : parse(found);
    } catch (error) {
      return failed(error);
    }
  }

  /** A list that cannot be asked has nobody in it: the matching code has logged why. */
  #listed(list: ClientList, session: Session): MaybePromise<boolean> {
    const { name, address } = session.subject.peer;
    try {
      const listed = list.matches(name, address);
      return listed instanceof Promise ? listed.catch(notAsked) : listed;
    } catch (error) {
      return notAsked(error);
    }
  }

  /** The message gets its queue id: a first recipient is accepted. */
  openMessage(session: Session, transaction: Transaction): void {
    transaction.queueId = this.#nextQueueId(BigInt(transaction.arrivalTime));
    session.subject.queueId = transaction.queueId;
    const { peer, saslMethod, saslUsername } = session.subject;
    const port = this.settings.portLogging ? `:${peer.port}` : '';
    let line = `${transaction.queueId}: client=${session.client}${port}`;
    if (saslUsername !== '') line += `, sasl_method=${saslMethod}, sasl_username=${saslUsername}`;
    this.log.info(line);
    transaction.span = this.tracing.start('smtpd message', undefined, {
      'postfleet.queue_id': transaction.queueId,
      'client.address': peer.address,
    });
  }

  ehlo(session: Session): string {
    const offer = { xclient: session.mayXclient, xforward: session.mayXforward };
    const key = `${offer.xclient} ${offer.xforward}`;
    let reply = session.discard === this.discard ? this.#ehlo.get(key) : undefined;
    if (reply === undefined) {
      reply = ehloReply(this.settings, session.discard, offer);
      if (session.discard === this.discard) this.#ehlo.set(key, reply);
    }
    return reply;
  }

  /** smtpd_forbidden_commands */
  isForbidden(verb: string): MaybePromise<boolean> {
    try {
      const found = this.#lists.forbidden.matches(verb);
      return found instanceof Promise ? found.catch(notAsked) : found;
    } catch (error) {
      return notAsked(error);
    }
  }

  /** smtpd_command_filter: another line in place of the one that came; none where the tables cannot be asked. */
  filterCommand(line: string): MaybePromise<string | undefined> {
    const maps = this.#lists.commandFilter;
    if (maps.isEmpty) return line;
    const failed = (error: unknown): undefined => {
      notAsked(error);
      return undefined;
    };
    try {
      const found = maps.lookup(line);
      return found instanceof Promise ? found.then((text) => text ?? line, failed) : (found ?? line);
    } catch (error) {
      return failed(error);
    }
  }

  /** A refusal with the text of smtpd_reject_footer or smtpd_reject_footer_maps. */
  withFooter(session: Session, reply: string): MaybePromise<string> {
    return this.#footer === undefined ? reply : this.#footer(session, reply);
  }

  disconnected(session: Session): void {
    this.#sessions.delete(session);
    this.metrics.closed();
    if (session.counted && this.counts.connections) this.counts.disconnect(session);
  }

  /** The settings for the next session: others where it takes the last process that a Postfix would have. */
  settingsNow(): SmtpdSettings {
    return this.metrics.sessions + 1 >= this.#service.processLimit ? this.stressed : this.settings;
  }

  #shutDown(): void {
    for (const session of this.#sessions) session.shutDown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { footer, ...lists } = this.#lists;
    await footer?.close();
    for (const list of Object.values(lists)) await list.close();
  }
}

interface SessionLists {
  readonly mynetworks: ClientList;
  readonly flushed: DomainList;
  readonly bareNewlineExclusions: ClientList;
  readonly eventExceptions: ClientList;
  readonly xclientHosts: ClientList;
  readonly xforwardHosts: ClientList;
  readonly forbidden: StringList;
  readonly commandFilter: Maps;
  readonly discardByAddress: Maps;
  readonly footer: Footer | undefined;
}

function notAsked(error: unknown): false {
  if (error instanceof TableError) return false;
  throw error;
}
