/**
 * One run: an instance in one of its shapes, the load, the sinks, and kills at random moments while the victim holds work.
 * Resolves to the records from which the ledger is drawn up.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Arrivals, outstanding } from './arrivals.ts';
import {
  BOX,
  BOX_DOMAIN,
  GONE_DOMAIN,
  LOCAL_BOX,
  LOCAL_DOMAIN,
  SENDER_BOX,
  type Shape,
  writeConfiguration,
} from './configuration.ts';
import { Fleet, KINDS } from './fleet.ts';
import { type Kill, type Records, unitOf } from './ledger.ts';
import { Load } from './load.ts';
import { Mailbox } from './mailboxes.ts';
import { idOf, isWhole, ledgerIdOf, makeMessages } from './messages.ts';
import { QueueReader, queuedContents } from './queue-reader.ts';
import type { Random } from './random.ts';
import { Sink } from './sink.ts';
import { MaildropReader, submit } from './submissions.ts';
import { measureTakeover, ownedBy, shardsOfDomains, type Takeover } from './takeover.ts';

export interface RunOptions {
  readonly shape: Shape;
  readonly directory: string;
  readonly messages: number;
  readonly kills: number;
  readonly random: Random;
  /** A line for whoever watches. */
  readonly say: (line: string) => void;
  /** How it goes, often. */
  readonly progress: (text: string) => void;
}

export interface RunResult {
  readonly records: Records;
  readonly takeovers: readonly Takeover[];
  /** Processes that ended by themselves. */
  readonly crashes: readonly string[];
  /** Kinds of which no process was killed while it held work, in a run with kills enough for each kind. */
  readonly neverBusy: readonly string[];
}

const SINKS = 8;
const SESSIONS = 12;
/** Seconds of load for each kill. */
const PACE = 1.5;
/** Milliseconds for which a kill waits until its victim holds work. */
const WORK_LIMIT = 30_000;
/** Those of a run with several; and milliseconds until both hold shards. */
const QMGRS = ['qmgr', 'second qmgr'];
const BOTH_LIMIT = 60_000;
/** Those with which all services end. */
const WHOLE = ['master', 'everything'];
const DRAIN_LIMIT = 600_000;
/** Milliseconds without an arrival after which nothing more comes: fifteen times maximal_backoff_time. */
const QUIET = 60_000;
/** Milliseconds after everything has arrived, in which a copy too many would arrive. */
const AFTERMATH = 4000;
const MANY_SHARDS = 4;
/** Rows of the queue that are shown at most. */
const LISTED = 50;

class Run {
  readonly #options: RunOptions;
  readonly #fleet: Fleet;
  readonly #sink: Sink;
  readonly #load: Load;
  readonly #arrivals: Arrivals;
  readonly #boxes: readonly Mailbox[];
  readonly #reader: QueueReader;
  readonly #maildrop: MaildropReader;
  readonly #refused: ReadonlySet<string>;
  readonly #domains: ReadonlyMap<string, number>;
  readonly #returning: Promise<void>[] = [];
  readonly #began = Date.now();
  /** Kinds that held work when they were killed, once at least. */
  readonly #busy = new Set<string>();
  readonly kills: { kind: string; at: number; back: number }[] = [];
  readonly takeovers: Takeover[] = [];
  /** A kill waits until its victim holds work. */
  isWaitingForWork = false;

  constructor(
    options: RunOptions,
    parts: {
      fleet: Fleet;
      sink: Sink;
      load: Load;
      arrivals: Arrivals;
      reader: QueueReader;
      maildrop: MaildropReader;
      refused: ReadonlySet<string>;
      domains: ReadonlyMap<string, number>;
    },
  ) {
    this.#options = options;
    this.#fleet = parts.fleet;
    this.#sink = parts.sink;
    this.#load = parts.load;
    this.#arrivals = parts.arrivals;
    this.#reader = parts.reader;
    this.#maildrop = parts.maildrop;
    this.#refused = parts.refused;
    this.#domains = parts.domains;
    const { mailDirectory } = parts.fleet;
    this.#boxes = [BOX, LOCAL_BOX, SENDER_BOX].map((name) => new Mailbox(mailDirectory, name));
  }

  collect(): void {
    for (const box of this.#boxes) for (const mail of box.fresh()) this.#arrivals.add(mail);
  }

  /** Accepted recipients without an outcome that has been seen. */
  get outstanding(): number {
    return outstanding(this.#load.accepted, this.#arrivals);
  }

  #outstandingAt(domain: string): number {
    this.collect();
    return outstanding(this.#load.accepted, this.#arrivals, (recipient) => recipient.endsWith(`@${domain}`));
  }

  /** How much the processes of a kind have in hand, as far as it shows from outside. */
  #work(kind: string): number | Promise<number> {
    switch (kind) {
      case 'smtpd':
      case 'cleanup':
      case 'rewrite':
      case 'nats-server':
      case 'master':
      case 'everything':
        return this.#load.waiting;
      case 'smtp':
      case 'qmgr':
      case 'second qmgr':
      case 'postgres':
        return this.#sink.open;
      case 'anvil':
        return this.#load.connections;
      case 'virtual':
        return this.#outstandingAt(BOX_DOMAIN);
      case 'local':
        return this.#outstandingAt(LOCAL_DOMAIN);
      case 'error':
        return this.#outstandingAt(GONE_DOMAIN);
      case 'bounce':
        this.collect();
        return [...this.#refused].filter((recipient) => !this.#arrivals.done.has(unitOf(idOf(recipient), recipient)))
          .length;
      case 'showq':
        return this.#reader.open;
      case 'pickup':
        return this.#maildrop.inHand();
      default:
        throw new Error(`no such kind: ${kind}`);
    }
  }

  /** Waits until the kind has a process that holds work; resolves to how much. */
  async #working(kind: string): Promise<number> {
    // The time in which it may come to hold some begins when it could: everything may be away.
    for (let deadline = Date.now() + WORK_LIMIT; ; await delay(2)) {
      const isThere = this.#fleet.pid(kind) !== undefined;
      const work = isThere ? await this.#work(kind) : 0;
      if (work > 0) return work;
      const isStarting = this.kills.some(({ kind, back }) => WHOLE.includes(kind) && back === Number.POSITIVE_INFINITY);
      if (!isThere || isStarting) deadline = Date.now() + WORK_LIMIT;
      if (Date.now() > deadline) return 0;
    }
  }

  /** The shards that a qmgr holds, as soon as both hold some: only then is there somebody to take them over. */
  async #shardsOf(kind: string): Promise<number[]> {
    for (const deadline = Date.now() + BOTH_LIMIT; Date.now() < deadline; await delay(50)) {
      const pids = QMGRS.map((qmgr) => this.#fleet.pid(qmgr) ?? -1);
      const held = await Promise.all(pids.map((pid) => ownedBy(this.#fleet, pid).catch(() => [])));
      if (held.every((shards) => shards.length > 0)) return held[QMGRS.indexOf(kind)]!;
    }
    throw new Error('the two qmgrs do not share the shards');
  }

  async kill(kind: string): Promise<void> {
    const isQmgr = QMGRS.includes(kind);
    // What a takeover takes is measured while nothing else is away.
    if (isQmgr) await Promise.all(this.#returning);
    const shards = isQmgr ? await this.#shardsOf(kind) : [];
    this.isWaitingForWork = true;
    const work = await this.#working(kind);
    this.isWaitingForWork = false;
    if (work > 0) this.#busy.add(kind);
    const killed = this.#fleet.kill(kind);
    if (killed === undefined) throw new Error(`${kind}: no such process`);
    const kill = { kind, at: Date.now(), back: Number.POSITIVE_INFINITY };
    this.kills.push(kill);
    const number = this.kills.length;
    const { say, random, shape, kills } = this.#options;
    const pause = random.below(800);
    const finish = async (): Promise<void> => {
      if (isQmgr) {
        const takeover = await measureTakeover(this.#fleet, kind, killed, shards, this.#domains, (domain) =>
          this.#arrivals.lastBegan(domain),
        );
        this.takeovers.push(takeover);
      }
      await this.#fleet.back(kind, killed, pause);
      kill.back = Date.now();
      const took = isQmgr ? `, shards ${shards.join(' ')} taken over after ${this.takeovers.at(-1)!.seconds} s` : '';
      const held = work > 0 ? `holding ${work}` : 'IDLE';
      say(
        `${((kill.at - this.#began) / 1000).toFixed(1).padStart(6)} s  ${shape}  kill ${number}/${kills}: ${kind}, ${held}; back after ${((kill.back - kill.at) / 1000).toFixed(1)} s${took}`,
      );
    };
    const returned = finish();
    returned.catch(() => undefined);
    this.#returning.push(returned);
    if (isQmgr) await returned;
  }

  /** Kinds of which no process was killed while it held work; none where the kills were too few for all kinds. */
  get neverBusy(): string[] {
    const { shape, kills } = this.#options;
    return kills < KINDS[shape].length ? [] : KINDS[shape].filter((kind) => !this.#busy.has(kind));
  }

  /** Every kill that was begun is over. */
  async settled(): Promise<void> {
    await Promise.all(this.#returning);
  }

  /** What is left in the queue and would be delivered: neither on hold nor without the content that was sent. */
  async queued(): Promise<Set<string>> {
    const rows = await this.#fleet.query<{ queue_id: string; recipient: string; line: string }>(
      `select queue_id, recipient, concat_ws(' ', queue_id, recipient, queue_name, 'shard', shard, next_attempt, reason) as line
         from mailq where queue_name <> 'hold'`,
    );
    for (const { line } of rows.slice(0, LISTED)) this.#options.say(`still queued: ${line}`);
    const contents = await queuedContents(this.#fleet.state, new Set(rows.map(({ queue_id }) => queue_id)));
    return new Set(
      rows.flatMap(({ queue_id, recipient }) => {
        const content = contents.get(queue_id) ?? '';
        return isWhole(content) ? [unitOf(ledgerIdOf(content), recipient)] : [];
      }),
    );
  }
}

/** Which kinds, in which order: every kind once before one comes again. */
function planKills(shape: Shape, count: number, random: Random): string[] {
  const plan: string[] = [];
  const [first = '', ...others] = KINDS[shape];
  while (plan.length < count) {
    const round = random.shuffled(others);
    // A takeover is seen in every run with several qmgrs; not as the first, for there must be shards to take.
    if (shape === 'many') round.splice(Math.min(1, count - 1), 0, first);
    else round.splice(random.below(others.length + 1), 0, first);
    plan.push(...round);
  }
  return plan.slice(0, count);
}

export async function run(options: RunOptions): Promise<RunResult> {
  const { shape, directory, messages, kills, random, progress } = options;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const arrivals = new Arrivals();
  const refused = new Set<string>();
  const configDirectory = join(directory, 'etc');
  const shards = shape === 'many' ? MANY_SHARDS : 1;
  const end = new AbortController();
  await using sink = await Sink.start({
    ports: SINKS,
    random,
    slowness: 150,
    taken: (message) => arrivals.add(message),
    refused: (recipient) => refused.add(recipient),
  });
  const services = writeConfiguration(configDirectory, {
    shards,
    sinkPorts: sink.ports,
    mailDirectory: join(directory, 'var', 'mail'),
  });
  const plan = planKills(shape, kills, random);
  const segment = messages / (kills + 1);
  // Somewhere in the first part of its segment, so that there is load after each.
  const thresholds = plan.map((_, at) => Math.floor(segment * (at + 0.2 + 0.7 * random.next())));
  let next = 0;
  await using fleet = await Fleet.start({ directory, configDirectory, shape, services });
  if (shape === 'many') fleet.startSecondQmgr();
  const load: Load = new Load({
    port: fleet.port,
    messages: makeMessages(shape === 'one' ? 'a' : 'b', messages, SINKS, random, [
      ['ok', LOCAL_DOMAIN],
      ['no', GONE_DOMAIN],
    ]),
    sessions: SESSIONS,
    rate: messages / ((kills + 1) * PACE),
    submit: (message) => submit(fleet, message),
    isAhead: () => next < plan.length && !state.isWaitingForWork && load.begun > segment * (next + 1),
    random,
    signal: end.signal,
  });
  const reader = new QueueReader();
  await using maildrop = new MaildropReader(fleet);
  const domains = shardsOfDomains(sink.ports, shards);
  const state: Run = new Run(options, { fleet, sink, load, arrivals, reader, maildrop, refused, domains });
  const show = setInterval(() => {
    progress(
      `${shape}: sent ${load.begun}/${messages}, accepted ${load.accepted.length}, arrived ${arrivals.done.size}, kills ${state.kills.length}/${kills}`,
    );
  }, 500);
  try {
    const reading = reader.run(fleet.state, end.signal);
    const loading = load.run();
    // Where a kill fails first, that is what the run fails with.
    loading.catch(() => undefined);
    for (const kind of plan) {
      for (const threshold = thresholds[next]!; load.begun < threshold; await delay(5)) fleet.assertAlive();
      await state.kill(kind);
      next++;
    }
    await Promise.all([state.settled(), loading]);
    let last = { at: Date.now(), outstanding: state.outstanding };
    for (const deadline = last.at + DRAIN_LIMIT; Date.now() < Math.min(deadline, last.at + QUIET); await delay(250)) {
      fleet.assertAlive();
      state.collect();
      const { outstanding } = state;
      if (outstanding < last.outstanding) last = { at: Date.now(), outstanding };
      if (outstanding === 0) break;
    }
    await delay(AFTERMATH);
    const queued = await state.queued();
    state.collect();
    end.abort();
    await reading;
    const records = {
      sent: load.sent,
      copies: arrivals.copies,
      notices: arrivals.notices,
      queued,
      kills: state.kills as Kill[],
      removed: fleet.removed(),
    };
    return { records, takeovers: state.takeovers, crashes: fleet.crashes(), neverBusy: state.neverBusy };
  } finally {
    end.abort();
    clearInterval(show);
  }
}
