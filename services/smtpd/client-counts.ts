/**
 * Limits per client (TUNING_README, anvil(8)): parallel connections, and rates of connections, messages and recipients,
 * counted by the anvil service for the whole fleet. Without it, sessions go on with a warning.
 */
import type { Anvil } from '../../lib/clients/protocols.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Session } from './session.ts';
import type { SmtpdSettings } from './settings.ts';

/** Milliseconds between two warnings about a service that is away. */
const WARN_EVERY = 10_000;

export class ClientCounts {
  readonly #anvil: () => Anvil;
  readonly #settings: SmtpdSettings;
  readonly #service: string;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  #warned = 0;

  constructor(anvil: () => Anvil, settings: SmtpdSettings, service: string, log: Log, signal: AbortSignal) {
    this.#anvil = anvil;
    this.#settings = settings;
    this.#service = service;
    this.#log = log;
    this.#signal = signal;
  }

  /** Whether connections are counted at all. */
  get connections(): boolean {
    return this.#settings.connectionCountLimit > 0 || this.#settings.connectionRateLimit > 0;
  }

  /** The refusal of a client that connects too often. */
  async connect(session: Session): Promise<string | undefined> {
    const counts = await this.#count('connect', session);
    if (counts === undefined) return undefined;
    const { connectionCountLimit, connectionRateLimit, myhostname } = this.#settings;
    const { address } = session.subject.peer;
    if (connectionCountLimit > 0 && counts.count > connectionCountLimit) {
      this.#limit('Connection concurrency', counts.count, session);
      return `421 4.7.0 ${myhostname} Error: too many connections from ${address}`;
    }
    if (connectionRateLimit > 0 && counts.rate > connectionRateLimit) {
      this.#limit('Connection rate', counts.rate, session);
      return `421 4.7.0 ${myhostname} Error: too many connections from ${address}`;
    }
    return undefined;
  }

  disconnect(session: Session): void {
    void this.#count('disconnect', session);
  }

  async message(session: Session): Promise<string | undefined> {
    const counts = await this.#count('message', session);
    if (counts === undefined || counts.rate <= this.#settings.messageRateLimit) return undefined;
    this.#limit('Message delivery request rate', counts.rate, session);
    return `450 4.7.1 Error: too much mail from ${session.subject.peer.address}`;
  }

  async recipient(session: Session): Promise<string | undefined> {
    const counts = await this.#count('recipient', session);
    if (counts === undefined || counts.rate <= this.#settings.recipientRateLimit) return undefined;
    this.#limit('Recipient address rate', counts.rate, session);
    return `450 4.7.1 Error: too many recipients from ${session.subject.peer.address}`;
  }

  #limit(what: string, value: number, session: Session): void {
    this.#log.warning(`${what} limit exceeded: ${value} from ${session.client} for service ${this.#service}`);
  }

  async #count(event: string, session: Session): Promise<{ count: number; rate: number } | undefined> {
    try {
      const ident = `${this.#service}:${session.subject.peer.address}`;
      const [reply] = await this.#anvil().count([{ event, ident }], this.#signal);
      return reply;
    } catch (error) {
      const now = Date.now();
      if (now - this.#warned > WARN_EVERY && !this.#signal.aborted) {
        this.#warned = now;
        this.#log.warning(
          `problem talking to service anvil: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      return undefined;
    }
  }
}
