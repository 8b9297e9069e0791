/**
 * How one request is delivered: the destinations of its nexthop and smtp_fallback_relay in turn, for each its servers in
 * order, over a cached session where there is one, until every recipient has an outcome or nothing is left to try.
 *
 * At most smtp_mx_address_limit addresses of a destination and smtp_mx_session_limit sessions that got as far as EHLO are
 * tried. Which server is the last matters: temporary trouble with it is final for this attempt (delivery.ts).
 */
import type { DeliveryRecipient, DeliveryReply, DeliveryRequest } from '../../lib/clients/protocols.ts';
import type { Lookup } from '../../lib/dns/answer.ts';
import type { ContentReader } from '../../lib/queue/content.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import type { DeliveryHandler } from '../../lib/server/delivery-agent.ts';
import type { DeliveryReport } from '../../lib/server/delivery-report.ts';
import type { ClientConnection } from '../../lib/smtp/client-connection.ts';
import { TableError } from '../../lib/tables/table.ts';
import { type AddressContext, findAddresses, SMTP_PORT } from './addresses.ts';
import { Delivery } from './delivery.ts';
import { type Destination, parseDestination, splitNexthop } from './destination.ts';
import { GenericContent, type GenericContext, mapGeneric, mapHeaders } from './generic.ts';
import { forwardingLoop, type HeadFlags, headOf, parseHeadFlags } from './head-flags.ts';
import { type NoSession, openSession, Session } from './session.ts';
import { endpointKey, SessionCache } from './session-cache.ts';
import type { Settings } from './settings.ts';
import { type TransactionEnd, transact } from './transaction.ts';
import { messageTrouble, type Peer, relayName, Trouble } from './trouble.ts';

export interface AgentOptions {
  readonly context: ServiceContext;
  readonly settings: Settings;
  readonly dns: Lookup;
  readonly isOwnAddress: (address: string) => boolean;
  /** generic(5); undefined where no table is named. */
  readonly generic?: (GenericContext & AsyncDisposable) | undefined;
  readonly random?: () => number;
}

/** The way of one request so far. */
interface Progress {
  readonly delivery: Delivery;
  /** Why the last server that was tried failed, or the last destination had none. */
  trouble: Trouble | undefined;
}

export class SmtpAgent implements DeliveryHandler {
  readonly #context: ServiceContext;
  readonly #settings: Settings;
  readonly #addresses: AddressContext;
  readonly #sessions: SessionCache;
  readonly #open = new Set<ClientConnection>();
  readonly #reused: { inc(): void };
  readonly #flags: HeadFlags;
  readonly #generic: (GenericContext & AsyncDisposable) | undefined;
  readonly #content: ContentReader;

  constructor({ context, settings, dns, isOwnAddress, generic, random = Math.random }: AgentOptions) {
    this.#generic = generic;
    this.#content = generic === undefined ? context.content : new GenericContent(generic, context.content);
    this.#context = context;
    this.#settings = settings;
    this.#addresses = { settings, dns, isOwnAddress, random };
    this.#sessions = new SessionCache(settings, Math.max(100, 2 * context.processLimit));
    this.#reused = context.metrics.connectionReuse.labels({ transport: context.name });
    this.#flags = parseHeadFlags(context.argv, context.name);
    context.signal.addEventListener('abort', () => this.#closeAll(), { once: true });
  }

  get #hasHead(): boolean {
    return this.#flags.returnPath || this.#flags.originalTo || this.#flags.deliveredTo;
  }

  async deliver(request: DeliveryRequest, signal: AbortSignal, report: DeliveryReport): Promise<DeliveryReply> {
    const delivery = await this.#begin(request, report);
    if (delivery instanceof Trouble) {
      for (const recipient of request.recipients) report.deferred(recipient, 'none', delivery.dsn);
      return report.reply();
    }
    const progress: Progress = { delivery, trouble: undefined };
    if (this.#flags.deliveredTo) {
      const loop = await forwardingLoop(request, this.#context.content, signal);
      if (loop !== undefined) {
        delivery.failedForGood(delivery.remaining, 'none', loop);
        return delivery.reply();
      }
    }
    const destinations = [...splitNexthop(request.nexthop), ...this.#settings.fallbackRelay];
    for (const [at, text] of destinations.entries()) {
      await this.#deliverTo(text, at === destinations.length - 1, progress);
      if (delivery.isDone) return delivery.reply();
      signal.throwIfAborted();
    }
    const trouble = progress.trouble ?? messageTrouble('4.3.5', `bad nexthop destination: ${request.nexthop}`);
    report.connected();
    delivery.failedForGood(delivery.remaining, 'none', trouble);
    return delivery.reply();
  }

  /** The request as the outside is to see it. */
  async #begin(request: DeliveryRequest, report: DeliveryReport): Promise<Delivery | Trouble> {
    const generic = this.#generic;
    const { log } = this.#context;
    if (generic === undefined) return new Delivery(request, report, log);
    try {
      const sender = request.sender === '' ? '' : ((await mapGeneric(generic, request.sender)) ?? request.sender);
      const content = await mapHeaders(generic, request.content);
      const outside = new Map<DeliveryRecipient, string>();
      for (const recipient of request.recipients) {
        const mapped = await mapGeneric(generic, recipient.address);
        if (mapped !== undefined) outside.set(recipient, mapped);
      }
      const contentSize = content.length > 0 ? content.length : request.contentSize;
      return new Delivery({ ...request, sender, content, contentSize }, report, log, outside);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      log.warning(`${request.queueId}: ${generic.maps.parameter} map lookup problem -- message delivery deferred`);
      return messageTrouble('4.3.0', `${generic.maps.parameter} map lookup problem`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sessions.close();
    this.#closeAll();
    await this.#settings.sasl.byName[Symbol.asyncDispose]();
    await this.#generic?.[Symbol.asyncDispose]();
  }

  #closeAll(): void {
    for (const connection of this.#open) connection.close();
  }

  async #deliverTo(text: string, isLast: boolean, progress: Progress): Promise<void> {
    const destination = parseDestination(text, this.#settings);
    if (destination.kind === 'bad') {
      this.#context.log.warning(`${progress.delivery.request.queueId}: ${destination.problem}`);
      progress.trouble = messageTrouble('4.3.5', 'mail transport configuration error');
      return;
    }
    const found =
      destination.kind === 'unix'
        ? [{ name: this.#settings.myhostname, address: destination.name, port: 0 }]
        : await findAddresses(destination, this.#addresses);
    if (found instanceof Trouble) {
      progress.trouble = found;
      return;
    }
    await this.#deliverToPeers(destination, [...found], isLast, progress);
  }

  async #deliverToPeers(destination: Destination, peers: Peer[], isLast: boolean, progress: Progress): Promise<void> {
    const { delivery } = progress;
    const { mxSessionLimit } = this.#settings;
    let tried = 0;
    // Those that got as far as EHLO and were not dead from the start.
    let sessions = 0;
    while (peers.length > 0 && !delivery.isDone && !this.#context.signal.aborted) {
      const peer = peers[0]!;
      // Whichever server of the destination worked last will do for a beginning; after that each has its turn.
      const session =
        (tried === 0 ? this.#cachedForDestination(destination, peers) : undefined) ??
        (await this.#nextSession(destination, peers, delivery.request.sender));
      delivery.report.connected();
      if (session instanceof Session) {
        const exhausted = mxSessionLimit > 0 && sessions + 1 >= mxSessionLimit;
        delivery.isFinal = isLast && (peers.length === 0 || exhausted);
        if ((await this.#use(session, destination, delivery)) === 'stale') {
          // The server closed while the session waited: it is tried again as if there had been none.
          peers.unshift(session.peer);
          continue;
        }
        tried++;
        sessions++;
        if (exhausted) return;
        continue;
      }
      tried++;
      progress.trouble = session.trouble;
      if (session.connected) {
        delivery.isFinal = isLast && peers.length === 0;
        delivery.failed(delivery.remaining, relayName(peer), session.trouble);
      }
    }
  }

  /** A cached session with any server of the destination, which is no longer among `peers` afterwards. */
  #cachedForDestination(destination: Destination, peers: Peer[]): Session | undefined {
    const cached = this.#sessions.takeForDestination(destination.text);
    if (cached === undefined) return undefined;
    const key = endpointKey(cached.peer);
    const at = peers.findIndex((peer) => endpointKey(peer) === key);
    if (at >= 0) peers.splice(at, 1);
    this.#reused.inc();
    return cached;
  }

  /** A session with the next server, which is no longer among `peers` afterwards. */
  async #nextSession(destination: Destination, peers: Peer[], sender: string): Promise<Session | NoSession> {
    const first = peers[0]!;
    const cached = this.#sessions.takeForEndpoint(endpointKey(first));
    if (cached !== undefined) this.#reused.inc();
    peers.shift();
    if (cached !== undefined) return cached;
    const session = await this.#connect(first, destination, sender, false);
    if (session instanceof Session || !session.trouble.tlsFailed || this.#settings.tls.level !== 'may') return session;
    return this.#connect(first, destination, sender, true);
  }

  #connect(peer: Peer, destination: Destination, sender: string, plaintext: boolean): Promise<Session | NoSession> {
    return openSession({
      peer,
      ...(destination.kind === 'unix' ? { path: destination.path } : {}),
      settings: this.#settings,
      log: this.#context.log,
      open: this.#open,
      sender,
      destination: destination.text,
      nexthop: destination.name,
      detectLoop: destination.kind === 'inet' && destination.port === SMTP_PORT,
      plaintext,
    });
  }

  async #use(session: Session, destination: Destination, delivery: Delivery): Promise<TransactionEnd> {
    const end = await transact(session, delivery, {
      settings: this.#settings,
      content: this.#content,
      signal: this.#context.signal,
      log: this.#context.log,
      head: this.#hasHead ? headOf(delivery.request, this.#flags) : undefined,
      sentAction: (used) =>
        this.#flags.isFinal || (this.#settings.assumeFinal && !used.features.dsn) ? 'delivered' : 'relayed',
    });
    this.#sessions.put(session, destination.text);
    return end;
  }
}
