/**
 * Puts a finished message into the incoming log: chooses the shard by the first recipient, encodes the envelope, and
 * waits until the frame that holds it is on disk. An envelope that would not fit a frame goes in chunks, as large content
 * does, and a stub commits it.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Envelope, type SubmitReply, SubmitStatus, type TrivialRewrite } from '../../lib/clients/protocols.ts';
import { type ChunkRefused, ContentWriter } from '../../lib/queue/content.ts';
import { FramePublisher, type PublishOutcome } from '../../lib/queue/frame-publisher.ts';
import { type ShardRule, shardOf } from '../../lib/queue/shard-hash.ts';
import type { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Metrics } from '../../lib/server/metrics.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';
import { after, type MaybePromise } from '../../lib/util/maybe-promise.ts';

export interface CommitterOptions {
  readonly nats: Nats;
  readonly rule: ShardRule;
  readonly rewrite: TrivialRewrite;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly written: WrittenFrames;
  readonly signal: AbortSignal;
}

/** Octets of an envelope beside its content above which it goes in chunks. */
const ENVELOPE_LIMIT = 256 * 1024;
/** A message whose first chunk is older could have been swept: 1 hour, in milliseconds. */
const CHUNK_AGE_LIMIT = 3600 * 1000;

/** Octets that the writer of envelopes keeps from one to the next. */
const WRITER_LIMIT = 64 * 1024;
let writer = new BinaryWriter();

function encodeEnvelope(envelope: Envelope): Buffer {
  const used = writer;
  // Whatever stops in the middle leaves a writer that nobody uses again.
  writer = new BinaryWriter();
  const bytes = Envelope.encode(envelope, used).finish();
  if (bytes.length <= WRITER_LIMIT) writer = used;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export const reply = (status: SubmitStatus, queueId: string, reason = '', enhancedStatus = ''): SubmitReply => ({
  status,
  queueId,
  reason,
  enhancedStatus,
});

export class Committer {
  readonly #options: CommitterOptions;
  readonly #publishers = new Map<number, FramePublisher>();

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  #publisher(shard: number): FramePublisher {
    let publisher = this.#publishers.get(shard);
    if (publisher === undefined) {
      const { nats, log, metrics, written, signal } = this.#options;
      const { commitBatch, commitSeconds } = metrics;
      publisher = new FramePublisher({ nats, shard, log, signal, commitBatch, commitSeconds, written });
      this.#publishers.set(shard, publisher);
    }
    return publisher;
  }

  #shard(envelope: Envelope): MaybePromise<number> {
    const { rule, rewrite } = this.#options;
    const first = envelope.recipients[0];
    if (rule.shards === 1 || first === undefined) return 0;
    const asked = rewrite.resolve([{ kind: 'resolve', sender: envelope.sender, address: first.address }]);
    return asked.then(([resolved]) => (resolved === undefined ? 0 : shardOf(rule, resolved)));
  }

  /** `content` is empty where the envelope refers to chunks. Rejects with what rewrite or the CONTENT stream say. */
  commit(envelope: Envelope, content: readonly Buffer[], activeClients: number): MaybePromise<SubmitReply> {
    const { queueId, contentReference } = envelope;
    if (contentReference !== undefined && Date.now() - contentReference.writtenAt > CHUNK_AGE_LIMIT) {
      return reply(SubmitStatus.WRITE_ERROR, queueId, 'the message took longer than an hour to arrive');
    }
    return after(this.#shard(envelope), (shard) => {
      const whole = encodeEnvelope(envelope);
      const bytes = whole.length > ENVELOPE_LIMIT ? this.#stub(envelope, whole) : whole;
      return after(bytes, (entry) =>
        this.#publisher(shard)
          .append(entry, content, activeClients)
          .then((outcome) => this.#answer(queueId, outcome)),
      );
    });
  }

  async #stub(envelope: Envelope, bytes: Buffer): Promise<Buffer> {
    const writer = new ContentWriter(this.#options.nats);
    await writer.write(bytes);
    const stub = { ...envelope, recipients: [], envelopeReference: await writer.finish() };
    return Buffer.from(Envelope.encode(stub).finish());
  }

  #answer(queueId: string, outcome: PublishOutcome): SubmitReply {
    switch (outcome.kind) {
      case 'stored':
        return reply(SubmitStatus.QUEUED, queueId);
      case 'refused':
        this.#options.log.warning(`${queueId}: queue file write error: ${outcome.reason}`);
        return reply(outcome.noSpace ? SubmitStatus.NO_SPACE : SubmitStatus.WRITE_ERROR, queueId, outcome.reason);
      case 'unknown':
        this.#options.log.warning(
          `${queueId}: queue file write error: the log did not say whether it took the message`,
        );
        return reply(SubmitStatus.WRITE_ERROR, queueId, 'unknown outcome');
    }
  }

  async drain(): Promise<void> {
    await Promise.all([...this.#publishers.values()].map((publisher) => publisher.drain()));
  }
}

/** What a failure to write chunks means for the client. */
export function chunkFailure(queueId: string, error: ChunkRefused): SubmitReply {
  return reply(error.noSpace ? SubmitStatus.NO_SPACE : SubmitStatus.WRITE_ERROR, queueId, error.message);
}
