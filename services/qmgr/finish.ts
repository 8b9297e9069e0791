/**
 * The end of messages: when no recipient is undone, the notices that are due are asked of bounce(8), and only when they
 * are in the log do the rows and the chunks of content go. Many messages share one round; a round that fails is repeated
 * for as long as this qmgr lives, and by the next owner after that.
 *
 * Logs `QUEUEID: removed`; a warning when bounce or Postgres begin to fail.
 */
import type { Pool } from 'pg';
import { type Bounce, NoticeKind, type NoticeRequest } from '../../lib/clients/protocols.ts';
import { purgeContent } from '../../lib/queue/content.ts';
import { keyText, type MessageKey } from '../../lib/queue/message-key.ts';
import { forgetTold, markDelayNotified, noticesDue, untoldRecipients } from '../../lib/queue/sql/notice.ts';
import { finishMessages } from '../../lib/queue/sql/status.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';

export interface Finishing {
  readonly key: MessageKey;
  readonly queueId: string;
  readonly contentSubject: string | undefined;
}

export interface FinisherOptions {
  readonly pool: Pool;
  readonly nats: Nats;
  readonly bounce: Bounce;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const KINDS = { 1: NoticeKind.BOUNCE, 3: NoticeKind.TRACE } as const;
const BATCH = 200;

const request = (key: MessageKey, kind: NoticeRequest['kind']): NoticeRequest => ({
  kind,
  log: key.log,
  sequence: key.sequence,
  offset: key.entry,
});

export class Finisher {
  readonly #options: FinisherOptions;
  readonly #known = new Set<string>();
  #waiting: Finishing[] = [];
  #running: Promise<void> | undefined;
  #failing = false;

  constructor(options: FinisherOptions) {
    this.#options = options;
  }

  /** Takes a message whose rows may have lines in the bounce log. */
  add(finishing: Finishing): void {
    const text = keyText(finishing.key);
    if (this.#known.has(text)) return;
    this.#known.add(text);
    this.#waiting.push(finishing);
    this.#running ??= this.#run();
  }

  /** A message whose rows went with its status: only the log line and the chunks are left. */
  removed(queueId: string, contentSubject: string | undefined): void {
    this.#options.log.info(`${queueId}: removed`);
    if (contentSubject !== undefined) this.#purge(contentSubject);
  }

  #purge(subject: string): void {
    // What this misses is swept later.
    purgeContent(this.#options.nats, subject).catch((error: unknown) =>
      this.#options.log.debug(`cannot purge content ${subject}: ${String(error)}`),
    );
  }

  /** Tells the sender that the message is late, once. */
  async late(key: MessageKey): Promise<void> {
    const [reply] = await this.#options.bounce.notify([request(key, NoticeKind.DELAY)]);
    if (reply?.done === true) await markDelayNotified(this.#options.pool, key);
  }

  /**
   * Tells the sender what became of recipients in a pass of a message that goes on: which failed, and what was to be
   * reported. What cannot be told now is told with the next pass, or at the end.
   */
  async tell(key: MessageKey): Promise<void> {
    const { pool, bounce } = this.#options;
    for (const { kind, recipients } of await untoldRecipients(pool, key)) {
      const [reply] = await bounce.notify([request(key, KINDS[kind])]);
      if (reply?.done === true) await forgetTold(pool, key, kind, recipients);
    }
  }

  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log, signal } = this.#options;
    for (let wait = 50; this.#waiting.length > 0 && !signal.aborted; ) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        const left = await this.#round(batch);
        this.#waiting.push(...left);
        if (left.length === 0) {
          if (this.#failing) log.info('notices are taken again');
          this.#failing = false;
          wait = 50;
          continue;
        }
      } catch (error) {
        if (!this.#failing)
          log.warning(
            `cannot finish messages: ${error instanceof Error ? error.message : String(error)}; trying again`,
          );
        this.#failing = true;
        this.#waiting.unshift(...batch);
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, 5000);
    }
    this.#running = undefined;
  }

  /** Resolves to the messages whose notices could not be taken. */
  async #round(batch: readonly Finishing[]): Promise<Finishing[]> {
    const { pool, bounce, log } = this.#options;
    const due = await noticesDue(
      pool,
      batch.map(({ key }) => key),
    );
    const replies = due.length > 0 ? await bounce.notify(due.map((notice) => request(notice, KINDS[notice.kind]))) : [];
    const refused = new Map(
      due.flatMap((notice, at) =>
        replies[at]?.done === true ? [] : [[keyText(notice), replies[at]?.reason ?? ''] as const],
      ),
    );
    for (const reason of refused.values()) {
      if (!this.#failing) log.warning(`a notice could not be made: ${reason}; trying again`);
      this.#failing = true;
    }
    const finished = batch.filter(({ key }) => !refused.has(keyText(key)));
    await finishMessages(
      pool,
      finished.map(({ key }) => key),
    );
    for (const { key, queueId, contentSubject } of finished) {
      this.#known.delete(keyText(key));
      this.removed(queueId, contentSubject);
    }
    return batch.filter(({ key }) => refused.has(keyText(key)));
  }
}
