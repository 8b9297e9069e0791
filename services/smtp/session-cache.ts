/**
 * Sessions that wait for another delivery, found by destination (so that mail for a domain whose best mail exchanger is down
 * does not try it each time) and by address and port. See CONNECTION_CACHE_README.
 *
 * A session waits for at most smtp_connection_cache_time_limit, and is used for smtp_connection_reuse_time_limit from when it
 * was made, or smtp_connection_reuse_count_limit further times. It leaves the cache when the server says something
 * or closes. The one that was used last is taken first, so that a smaller load needs fewer connections. Bounded: the one
 * that has waited longest is closed where there are too many.
 */
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import type { Peer } from './trouble.ts';

interface Entry {
  readonly session: Session;
  readonly destination: string;
  readonly endpoint: string;
}

export function endpointKey(peer: Pick<Peer, 'address' | 'port'>): string {
  return `${peer.address}:${peer.port}`;
}

export class SessionCache {
  readonly #settings: Settings;
  readonly #limit: number;
  /** The one that has waited longest comes first. */
  readonly #waiting = new Map<Session, Entry>();
  readonly #byDestination = new Map<string, Session[]>();
  readonly #byEndpoint = new Map<string, Session[]>();

  constructor(settings: Settings, limit: number) {
    this.#settings = settings;
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.size;
  }

  takeForDestination(destination: string): Session | undefined {
    return this.#take(this.#byDestination.get(destination));
  }

  takeForEndpoint(endpoint: string): Session | undefined {
    return this.#take(this.#byEndpoint.get(endpoint));
  }

  /** Keeps a session for the next delivery, or ends it where it must not be used again. */
  put(session: Session, destination: string): void {
    if (!this.#mayBeReused(session, destination)) {
      session.connection.quit();
      return;
    }
    const entry = { session, destination, endpoint: endpointKey(session.peer) };
    this.#waiting.set(session, entry);
    append(this.#byDestination, destination, session);
    append(this.#byEndpoint, entry.endpoint, session);
    session.connection.idle(this.#settings.cacheTime, () => this.#end(session));
    if (this.#waiting.size > this.#limit) this.#end(this.#waiting.keys().next().value!);
  }

  /** Ends all of them. */
  close(): void {
    for (const session of this.#waiting.keys()) this.#end(session);
  }

  #mayBeReused(session: Session, destination: string): boolean {
    const { cacheOnDemand, cacheDestinations, cacheTime, reuseTime, reuseCount, tls, sasl } = this.#settings;
    if (session.unusable || !session.connection.isQuiet || cacheTime === 0) return false;
    if (session.tls && !tls.connectionReuse) return false;
    // Another sender may have another login.
    if (sasl.enabled && sasl.senderDependent) return false;
    if (!cacheOnDemand && !cacheDestinations.has(destination.toLowerCase())) return false;
    if (reuseCount > 0 && session.uses > reuseCount) return false;
    return performance.now() - session.since < reuseTime;
  }

  #take(sessions: Session[] | undefined): Session | undefined {
    const session = sessions?.at(-1);
    if (session === undefined) return undefined;
    this.#forget(session);
    session.connection.busy();
    return session;
  }

  #end(session: Session): void {
    this.#forget(session);
    session.connection.quit();
  }

  #forget(session: Session): void {
    const entry = this.#waiting.get(session);
    if (entry === undefined) return;
    this.#waiting.delete(session);
    remove(this.#byDestination, entry.destination, session);
    remove(this.#byEndpoint, entry.endpoint, session);
  }
}

function append(index: Map<string, Session[]>, key: string, session: Session): void {
  const sessions = index.get(key);
  if (sessions === undefined) index.set(key, [session]);
  else sessions.push(session);
}

function remove(index: Map<string, Session[]>, key: string, session: Session): void {
  const sessions = index.get(key);
  if (sessions === undefined) return;
  if (sessions.length === 1) index.delete(key);
  else sessions.splice(sessions.lastIndexOf(session), 1);
}
