/**
 * One destination of a transport: the peers that wait for it, in the order of their jobs, how much is under way, and how
 * many deliveries at once it is trusted with.
 *
 *   open       entries are taken while fewer than `window.size` are under way
 *   suspended  nothing is taken until `suspension` ends: between two deliveries with a rate delay, or because it is dead
 *
 * Pure bookkeeping.
 */
import type { StatusNotification } from '../../lib/clients/protocols.ts';
import { ConcurrencyWindow, type WindowSettings } from './feedback.ts';
import type { Entry } from './message.ts';
import type { Peer } from './peer.ts';

/** A time until which nothing is taken, in milliseconds of a monotonic clock. */
export interface Suspension {
  readonly queue: DestinationQueue;
  readonly until: number;
  heapPlace: number;
}

export class DestinationQueue {
  readonly name: string;
  readonly nexthop: string;
  readonly transportName: string;
  readonly window: ConcurrencyWindow;
  busy = 0;
  /** Undefined while the destination is not dead. */
  deadReason: StatusNotification | undefined;
  suspension: Suspension | undefined;
  /** When it was served last: among destinations of one job the one that waited longest is next. */
  turn = 0;
  heapPlace = -1;
  /** The peer whose turn it is. */
  first: Peer | undefined;
  #waiting = 0;
  /** Peers in the order in which they came, which is that of their jobs; those marked otherwise have left. */
  #line: Peer[] = [];
  #head = 0;
  #lastOrder = 0;
  /** Peers whose jobs stand before the end of the line: of jobs that preempted others, or of recipients read late. */
  #ahead: Peer[] = [];

  constructor(name: string, nexthop: string, transportName: string, settings: WindowSettings) {
    this.name = name;
    this.nexthop = nexthop;
    this.transportName = transportName;
    this.window = new ConcurrencyWindow(settings);
  }

  /** Entries that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  get idle(): boolean {
    return this.#waiting === 0 && this.busy === 0 && this.suspension === undefined;
  }

  get canTake(): boolean {
    return this.first !== undefined && this.busy < this.window.size && this.suspension === undefined;
  }

  push(peer: Peer, entry: Entry): void {
    peer.push(entry);
    this.#waiting++;
    if (peer.place !== 'none') return;
    const { order } = peer.job;
    if (this.#head === this.#line.length || order > this.#lastOrder) {
      peer.place = 'end';
      this.#line.push(peer);
      this.#lastOrder = order;
    } else {
      this.#putAhead(peer);
    }
    this.#choose();
  }

  /** The job of the peer has been moved ahead of others. */
  moved(peer: Peer): void {
    if (peer.place === 'none') return;
    if (peer.place === 'ahead') this.#ahead.splice(this.#ahead.indexOf(peer), 1);
    this.#putAhead(peer);
    this.#choose();
  }

  /** The entry whose turn it is; counts it as under way. */
  take(): Entry {
    const peer = this.first!;
    const entry = peer.take();
    this.#waiting--;
    this.busy++;
    if (peer.empty) {
      if (peer.place === 'ahead') this.#ahead.splice(this.#ahead.indexOf(peer), 1);
      peer.place = 'none';
      this.#choose();
    }
    return entry;
  }

  /** Everything that waits, which then waits no more. */
  drain(): Entry[] {
    const peers = [...this.#ahead, ...this.#line.slice(this.#head).filter((peer) => peer.place === 'end')];
    this.#line = [];
    this.#head = 0;
    this.#ahead = [];
    this.#waiting = 0;
    this.first = undefined;
    return peers.flatMap((peer) => {
      peer.place = 'none';
      return peer.drain();
    });
  }

  #putAhead(peer: Peer): void {
    let [low, high] = [0, this.#ahead.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ahead[middle]!.job.order < peer.job.order) low = middle + 1;
      else high = middle;
    }
    this.#ahead.splice(low, 0, peer);
    peer.place = 'ahead';
  }

  #choose(): void {
    while (this.#head < this.#line.length && this.#line[this.#head]!.place !== 'end') this.#head++;
    if (this.#head === this.#line.length && this.#head > 0) {
      this.#line.length = 0;
      this.#head = 0;
    } else if (this.#head > 64 && this.#head * 2 > this.#line.length) {
      // Dropping the front piece by piece would copy the rest each time; once half is gone, one copy is cheap.
      this.#line.splice(0, this.#head);
      this.#head = 0;
    }
    const [inLine, ahead] = [this.#line[this.#head], this.#ahead[0]];
    this.first = inLine === undefined || (ahead !== undefined && ahead.job.order < inLine.job.order) ? ahead : inLine;
  }
}
