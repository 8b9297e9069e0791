/**
 * Mail by sendmail(1), which puts it into the MAILDROP queue: what its exit status means, and how much pickup(8) has in hand.
 */
import { JetStreamApiError, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { MAILDROP_STREAM } from '../../lib/queue/maildrop.ts';
import { natsServers } from '../../lib/server/nats-servers.ts';
import { EX } from '../../lib/util/errors.ts';
import type { Fleet } from './fleet.ts';
import { contentOf, type Message } from './messages.ts';

const CONSUMER = 'pickup';

/** As a server's reply: 250 taken, 451 not taken, undefined perhaps taken. Rejects where sendmail says anything else. */
export async function submit(fleet: Fleet, message: Message): Promise<number | undefined> {
  const { sender, recipients } = message;
  const { status, text } = await fleet.sendmail(
    ['-i', '-f', sender, ...recipients],
    contentOf(message).replaceAll('\r\n', '\n'),
  );
  if (status === EX.OK) return 250;
  if (status === EX.TEMPFAIL && text.includes('mail submission is unavailable')) return 451;
  if (status === EX.TEMPFAIL && text.includes('perhaps not kept')) return undefined;
  throw new Error(`sendmail ended with status ${status}: ${text}`);
}

/** Counts what pickup has in hand. One for a run: NATS may be killed between two questions. */
export class MaildropReader implements AsyncDisposable {
  readonly #fleet: Fleet;
  #connection: NatsConnection | undefined;
  #manager: JetStreamManager | undefined;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** Entries that were handed to pickup and are not done; 0 while NATS is away. */
  async inHand(): Promise<number> {
    try {
      if (this.#connection === undefined || this.#connection.isClosed()) {
        this.#connection = await connect({ ...natsServers(this.#fleet.natsUrl), reconnect: false, timeout: 1000 });
        this.#manager = await jetstreamManager(this.#connection, { checkAPI: false, timeout: 1000 });
      }
      return (await this.#manager!.consumers.info(MAILDROP_STREAM, CONSUMER)).num_ack_pending;
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) await this[Symbol.asyncDispose]();
      return 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection?.close().catch(() => undefined);
    this.#connection = undefined;
  }
}
