/**
 * The ledger: what clients were told, what arrived, what was bounced, what still waits, and the kills meanwhile. Pure.
 *
 * A message is accepted when its client saw 250. It is lost when for one of its recipients there is no whole copy, no notice
 * and nothing in the queue that will still be delivered. Nothing else may arrive either: a copy or a notice whose content is not
 * what the client sent, or that is about nothing that was sent to that recipient, is damaged, and only recipients that are
 * refused for good may bounce.
 *
 * A copy too many has one of two causes, or none, and then the run has failed. Copies carry the queue id under which they
 * were taken in, which tells which of the two it can be:
 *
 *   an unknown answer   The copies have different queue ids: the client sent the message again. Each id but one needs an
 *                       end of data that was not answered, or refused, while a process on its way in was dead or was
 *                       killed.
 *   an open attempt     The copies have the same queue id: the delivery was repeated. Each copy but the last needs a kill
 *                       of qmgr, of an agent, of Postgres or of the whole between the moment at which the attempt began
 *                       and the one at which its outcome was written: qmgr's log says so (`QUEUEID: removed`). Where the
 *                       log does not, for the process was killed, an attempt counts as open for WRITE_LIMIT after its
 *                       end and no longer; where Postgres or qmgr was away then, from when it was back. What begins while
 *                       Postgres is away, alone or with the whole, is open at its kill too: no outcome of it could be
 *                       written.
 *
 * A kill of smtpd, anvil, cleanup, trivial-rewrite, error, bounce, showq, pickup or nats-server excuses no repeated
 * delivery, and nothing excuses two notices about one failure. `excusable` counts how many of all deliveries would have
 * had an excuse: a rule that covers most of them would prove nothing.
 */

/** Milliseconds since 1970 for all times. */
export interface EndOfData {
  readonly at: number;
  /** When the reply came, or the connection broke. */
  readonly answered: number;
  /** The reply's code; undefined where there was none. */
  readonly code: number | undefined;
}

export interface Sent {
  readonly id: string;
  readonly recipients: readonly string[];
  readonly attempts: readonly EndOfData[];
}

/** A copy that reached a sink or a mailbox. */
export interface Copy {
  readonly id: string;
  readonly recipient: string;
  readonly queueId: string;
  readonly began: number;
  readonly ended: number;
  /** Its content is what the client sent. */
  readonly isWhole: boolean;
}

/** A notice about a recipient, as it reached the sender. */
export interface Notice extends Copy {
  /** The queue id of the message that it is about; `queueId` is the notice's own. */
  readonly about: string;
}

export interface Kill {
  readonly kind: string;
  readonly at: number;
  /** When it was gone, where that was not at once. */
  readonly ended?: number;
  /** When another process had taken its place and was ready. */
  readonly back: number;
}

export interface Records {
  readonly sent: readonly Sent[];
  readonly copies: readonly Copy[];
  readonly notices: readonly Notice[];
  /** `id recipient` of what is still in the queue, is tried again, and has its whole content. */
  readonly queued: ReadonlySet<string>;
  readonly kills: readonly Kill[];
  /** By queue id: when qmgr first said that the message was finished and its rows were gone. */
  readonly removed: ReadonlyMap<string, number>;
}

export interface Duplicate {
  readonly id: string;
  readonly recipient: string;
  readonly copies: number;
  /** Undefined: none. */
  readonly cause: string | undefined;
  readonly detail: string;
}

export interface Verdict {
  readonly sent: number;
  readonly accepted: number;
  /** Not accepted, and an end of data had no answer. */
  readonly unknown: number;
  readonly refused: number;
  readonly delivered: number;
  readonly bounced: number;
  readonly queued: number;
  readonly lost: readonly string[];
  /** `id recipient` of what arrived and is not what was sent to that recipient. */
  readonly damaged: readonly string[];
  /** `id recipient` of what bounced though nobody refused it. */
  readonly wronglyBounced: readonly string[];
  readonly duplicates: readonly Duplicate[];
  /** Deliveries that the rule would excuse, of all. */
  readonly excusable: { readonly copies: number; readonly of: number };
}

/** How long an outcome may take until it is written, in milliseconds, where the log does not tell. */
export const WRITE_LIMIT = 5000;

const WAY_IN = new Set(['master', 'everything', 'smtpd', 'cleanup', 'rewrite', 'nats-server', 'postgres']);
const WAY_OUT = new Set(['master', 'everything', 'qmgr', 'second qmgr', 'smtp', 'virtual', 'local', 'postgres']);
/** Postgres goes with each of these. */
const WITH_POSTGRES = new Set(['master', 'everything', 'postgres']);
/** While one of these is away, no outcome is written. */
const WRITERS = new Set(['master', 'everything', 'qmgr', 'second qmgr', 'postgres']);

export const unitOf = (id: string, recipient: string): string => `${id} ${recipient}`;

/** Recipients that the sinks, or error(8), refuse for good. */
export const isRefused = (recipient: string): boolean => recipient.startsWith('no-');

type Faults = Pick<Records, 'kills' | 'removed'>;

/** Until when the attempt behind a copy was open. */
function openUntil({ queueId, ended }: Copy, { kills, removed }: Faults): number {
  const away = kills.filter(({ kind, at, back }) => WRITERS.has(kind) && at <= ended + WRITE_LIMIT && ended < back);
  const limit = Math.max(ended, ...away.map(({ back }) => back)) + WRITE_LIMIT;
  const written = removed.get(queueId);
  return written !== undefined && written >= ended ? Math.min(limit, written) : limit;
}

/** The kill at which the attempt behind a copy was open, if any. */
function openAt(copy: Copy, faults: Faults): Kill | undefined {
  const until = openUntil(copy, faults);
  const during = (last: (kill: Kill) => number): Kill | undefined =>
    faults.kills.find((kill) => WAY_OUT.has(kill.kind) && last(kill) >= copy.began && kill.at <= until);
  return (
    during(({ at, ended = at }) => ended) ??
    during(({ kind, back }) => (WITH_POSTGRES.has(kind) ? back : Number.NEGATIVE_INFINITY))
  );
}

/** The kill because of which an end of data had no answer, or a refusal, if any. */
function unansweredAt(attempt: EndOfData, kills: readonly Kill[]): Kill | undefined {
  if (attempt.code !== undefined && attempt.code < 400) return undefined;
  return kills.find(({ kind, at, back }) => WAY_IN.has(kind) && at <= attempt.answered && back >= attempt.at);
}

const byTime = (a: Copy, b: Copy): number => a.ended - b.ended;

function judge(sent: Sent, recipient: string, copies: readonly Copy[], faults: Faults): Duplicate | undefined {
  if (copies.length < 2) return undefined;
  const byQueueId = Map.groupBy(copies, ({ queueId }) => queueId);
  const causes: string[] = [];
  let unexplained = 0;
  if (byQueueId.size > 1) {
    const unanswered = sent.attempts.flatMap((attempt) => unansweredAt(attempt, faults.kills) ?? []);
    if (unanswered.length >= byQueueId.size - 1) causes.push(`an unknown answer (${unanswered[0]!.kind} killed)`);
    else unexplained++;
  }
  for (const group of byQueueId.values()) {
    for (const copy of group.toSorted(byTime).slice(0, -1)) {
      const kill = openAt(copy, faults);
      if (kill !== undefined) causes.push(`an attempt open when ${kill.kind} was killed`);
      else unexplained++;
    }
  }
  const detail = copies
    .toSorted(byTime)
    .map(({ queueId, began, ended }) => `${queueId} ${new Date(began).toISOString()}+${ended - began}ms`)
    .join(', ');
  const cause = unexplained === 0 ? [...new Set(causes)].join('; ') : undefined;
  return { id: sent.id, recipient, copies: copies.length, cause, detail };
}

/** Notices about one failure under different queue ids, and repeated deliveries of one notice. */
function judgeNotices(notices: readonly Notice[], faults: Faults): Duplicate[] {
  const found: Duplicate[] = [];
  for (const group of Map.groupBy(notices, ({ about, recipient }) => `${about} ${recipient}`).values()) {
    if (group.length < 2) continue;
    const { id, recipient } = group[0]!;
    const sameNotice = new Set(group.map(({ queueId }) => queueId)).size === 1;
    const open = group
      .toSorted(byTime)
      .slice(0, -1)
      .map((notice) => openAt(notice, faults));
    const explained = sameNotice && open.every((kill) => kill !== undefined);
    found.push({
      id,
      recipient,
      copies: group.length,
      cause: explained ? `an attempt open when ${open[0]!.kind} was killed (its notice)` : undefined,
      detail: `notices ${group.map(({ queueId }) => queueId).join(', ')} about ${group[0]!.about}`,
    });
  }
  return found;
}

export function balance(records: Records): Verdict {
  const { sent, copies, notices, queued } = records;
  const copiesOf = Map.groupBy(copies, ({ id, recipient }) => unitOf(id, recipient));
  const noticesOf = Map.groupBy(notices, ({ id, recipient }) => unitOf(id, recipient));
  const addressed = new Set(sent.flatMap(({ id, recipients }) => recipients.map((recipient) => unitOf(id, recipient))));
  const damaged = [...copies, ...notices]
    .filter(({ id, recipient, isWhole }) => !isWhole || !addressed.has(unitOf(id, recipient)))
    .map(({ id, recipient }) => unitOf(id, recipient));
  const wronglyBounced = [...noticesOf].filter(([, [notice]]) => !isRefused(notice!.recipient)).map(([unit]) => unit);
  const lost: string[] = [];
  const duplicates = judgeNotices(notices, records);
  const counts = { accepted: 0, unknown: 0, refused: 0, delivered: 0, bounced: 0, queued: 0 };
  for (const message of sent) {
    const accepted = message.attempts.some(({ code }) => code === 250);
    const fates = new Set<'delivered' | 'bounced' | 'queued' | 'lost'>();
    for (const recipient of message.recipients) {
      const unit = unitOf(message.id, recipient);
      const arrived = copiesOf.get(unit) ?? [];
      // A notice about each queue id is one outcome of it, however often the notice itself arrived.
      const bounced = [...Map.groupBy(noticesOf.get(unit) ?? [], ({ about }) => about).entries()].map(
        ([about, group]): Copy => ({ ...group[0]!, queueId: about }),
      );
      const duplicate = judge(message, recipient, [...arrived, ...bounced], records);
      if (duplicate !== undefined) duplicates.push(duplicate);
      if (queued.has(unit)) fates.add('queued');
      else if (bounced.length > 0) fates.add('bounced');
      else if (arrived.some(({ isWhole }) => isWhole)) fates.add('delivered');
      else fates.add('lost');
    }
    if (!accepted) {
      counts[message.attempts.some(({ code }) => code === undefined) ? 'unknown' : 'refused']++;
      continue;
    }
    counts.accepted++;
    if (fates.has('lost')) lost.push(message.id);
    else if (fates.has('queued')) counts.queued++;
    else if (fates.has('bounced')) counts.bounced++;
    else counts.delivered++;
  }
  const excusable = copies.filter((copy) => openAt(copy, records) !== undefined).length;
  return {
    sent: sent.length,
    ...counts,
    lost,
    damaged,
    wronglyBounced,
    duplicates,
    excusable: { copies: excusable, of: copies.length },
  };
}

/** The last line of a run. */
export const summary = (verdict: Verdict, kills: number): string =>
  `sent ${verdict.sent} accepted ${verdict.accepted} unknown ${verdict.unknown} delivered ${verdict.delivered} ` +
  `bounced ${verdict.bounced} queued ${verdict.queued} lost ${verdict.lost.length} ` +
  `duplicates ${verdict.duplicates.length} kills ${kills}`;

/** Whether the run shows what it has to. */
export const passes = (verdict: Verdict): boolean =>
  verdict.lost.length === 0 &&
  verdict.damaged.length === 0 &&
  verdict.wronglyBounced.length === 0 &&
  verdict.duplicates.every(({ cause }) => cause !== undefined);
