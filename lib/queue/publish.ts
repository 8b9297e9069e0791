/**
 * Publishing to a stream with the server's answer, at the cost of a message and no more: one subscription takes the
 * answers of all publishes of a connection, and only what failed becomes an exception with a stack. (The client library's
 * own request makes two error objects beforehand for each call, which was a twentieth of a session thread's time.)
 */
import { JetStreamApiError } from '@nats-io/jetstream';
import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';

/** What the server was asked and did not answer in time, or could not be asked. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** What must be the last sequence, of the subject or of the whole stream, for the message to be taken. */
export type ExpectedSequence = { readonly lastSubjectSequence: number } | { readonly lastSequence: number };

export type PublishExpectation = { readonly stream: string } & ExpectedSequence;

interface Waiting {
  readonly deadline: number;
  settle(message: Msg | undefined): void;
}

interface Answer {
  readonly seq?: number;
  readonly stream?: string;
  readonly error?: { code: number; err_code: number; description: string };
}

/** How often late answers are looked for, in milliseconds. */
const SWEEP = 250;

/** The answers of one connection's publishes. */
class Answers {
  readonly #connection: NatsConnection;
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, Waiting>();
  #next = 1;
  #sweep: NodeJS.Timeout | undefined;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        const token = message?.subject.slice(this.#inbox.length + 1) ?? '';
        const waiting = this.#waiting.get(token);
        this.#waiting.delete(token);
        waiting?.settle(error === null || error === undefined ? message : undefined);
      },
    });
  }

  /** Undefined: no answer within `timeout` milliseconds. */
  ask(subject: string, data: Uint8Array, expectation: PublishExpectation, timeout: number): Promise<Msg | undefined> {
    const token = (this.#next++).toString(36);
    const { promise, resolve } = Promise.withResolvers<Msg | undefined>();
    this.#waiting.set(token, { deadline: Date.now() + timeout, settle: resolve });
    const expected = headers();
    expected.set('Nats-Expected-Stream', expectation.stream);
    if ('lastSequence' in expectation) expected.set('Nats-Expected-Last-Sequence', String(expectation.lastSequence));
    else expected.set('Nats-Expected-Last-Subject-Sequence', String(expectation.lastSubjectSequence));
    try {
      this.#connection.publish(subject, data, { reply: `${this.#inbox}.${token}`, headers: expected });
    } catch {
      this.#waiting.delete(token);
      resolve(undefined);
    }
    this.#sweep ??= setInterval(() => this.#expire(), SWEEP);
    return promise;
  }

  #expire(): void {
    const now = Date.now();
    for (const [token, { deadline, settle }] of this.#waiting) {
      if (now < deadline) continue;
      this.#waiting.delete(token);
      settle(undefined);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

const answers = new WeakMap<NatsConnection, Answers>();
const decoder = new TextDecoder();
const NO_RESPONDERS = 503;

/**
 * Publishes once. Resolves to the stream sequence; rejects with JetStreamApiError where the server refused, with NoAnswer
 * where it cannot be known whether the message was stored.
 */
export async function publish(
  connection: NatsConnection,
  subject: string,
  data: Uint8Array,
  expectation: PublishExpectation,
  timeout: number,
): Promise<number> {
  let own = answers.get(connection);
  if (own === undefined) {
    own = new Answers(connection);
    answers.set(connection, own);
  }
  const message = await own.ask(subject, data, expectation, timeout);
  if (message === undefined) throw new NoAnswer('the server did not answer');
  if (message.headers?.code === NO_RESPONDERS) throw new NoAnswer('no stream takes this subject at present');
  const answer = JSON.parse(decoder.decode(message.data)) as Answer;
  if (answer.error !== undefined) throw new JetStreamApiError(answer.error);
  if (answer.seq === undefined) throw new NoAnswer('the answer has no sequence');
  return answer.seq;
}
