/**
 * MAILDROP: the JetStream stream into which sendmail(1) and postdrop(1) put messages and from which pickup(8) takes them.
 *
 * An entry is one run of bytes: a version, flags, the envelope in protobuf, the content with LF line ends. It travels in parts of
 * at most 512 KiB: all but the last on `MAILDROP.part.<token>`, the last on `MAILDROP.entry.<token>`, which says how many
 * came before it and has the checksum of the whole. The last part commits the entry; parts without one are an upload
 * that was broken off.
 *
 * Limits retention, file storage, discard new: pickup deletes what it has handed on. The server's sync_interval decides what
 * an acknowledgement is worth; the services check it at their start.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import { Envelope } from '../clients/protocols.ts';
import { FatalError } from '../util/errors.ts';

export const MAILDROP_STREAM = 'MAILDROP';
/** Entries that cannot be read, kept for somebody to look at; the oldest go first. */
export const MAILDROP_CORRUPT_STREAM = 'MAILDROP_CORRUPT';
export const ENTRY_SUBJECTS = 'MAILDROP.entry.*';
export const PART_SUBJECTS = 'MAILDROP.part.*';

const PART_SIZE = 512 * 1024;
const VERSION = 1;
/** Version of the part, parts before this one, checksum, size of the whole. */
const TRAILER_SIZE = 1 + 4 + 4 + 8;
/** Version of the entry, flags, octets of envelope. */
const ENTRY_HEAD_SIZE = 1 + 1 + 4;
const EXTRACT_RECIPIENTS = 1;
const ENVELOPE_LIMIT = 64 * 1024 * 1024;
const CORRUPT_BYTES = 256 * 1024 * 1024;

const STREAM_NOT_FOUND = 10059;
const NAME_IN_USE = 10058;

export const partSubject = (token: string): string => `MAILDROP.part.${token}`;
export const entrySubject = (token: string): string => `MAILDROP.entry.${token}`;
export const tokenOf = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1);

/** The bytes of an entry do not make sense: they were damaged, or written by another program. */
export class MaildropDamaged extends Error {
  override readonly name = 'MaildropDamaged';
}

/** Makes the streams, or checks that the ones that exist are what is expected. Throws FatalError where they are not. */
export async function ensureMaildrop(manager: JetStreamManager, replicas: number): Promise<StreamInfo> {
  const common = { retention: RetentionPolicy.Limits, storage: StorageType.File, num_replicas: replicas };
  await ensure(manager, {
    ...common,
    name: MAILDROP_CORRUPT_STREAM,
    subjects: [`${MAILDROP_CORRUPT_STREAM}.>`],
    discard: DiscardPolicy.Old,
    max_bytes: CORRUPT_BYTES,
  });
  return ensure(manager, {
    ...common,
    name: MAILDROP_STREAM,
    subjects: [`${MAILDROP_STREAM}.>`],
    discard: DiscardPolicy.New,
    allow_direct: true,
  });
}

type Wanted = Parameters<JetStreamManager['streams']['add']>[0] & { name: string };

async function ensure(manager: JetStreamManager, wanted: Wanted): Promise<StreamInfo> {
  try {
    return checked(await manager.streams.info(wanted.name), wanted);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
  }
  try {
    return await manager.streams.add(wanted);
  } catch (error) {
    // Another process made it meanwhile.
    if (!(error instanceof JetStreamApiError) || error.code !== NAME_IN_USE) throw error;
    return checked(await manager.streams.info(wanted.name), wanted);
  }
}

function checked(info: StreamInfo, wanted: Wanted): StreamInfo {
  for (const field of ['retention', 'storage', 'discard'] as const) {
    if (info.config[field] === wanted[field]) continue;
    throw new FatalError(
      `stream ${wanted.name}: ${field} is "${info.config[field]}", expected "${wanted[field]}": remove the stream or correct it with the nats command`,
    );
  }
  if (info.config.max_age !== 0) {
    throw new FatalError(`stream ${wanted.name}: max_age is set, expected 0: mail would vanish by age`);
  }
  return info;
}

/** What is dropped beside the content. */
export interface Submission {
  readonly envelope: Envelope;
  /** sendmail -t: the recipients stand in the headers. */
  readonly extractRecipients: boolean;
}

/**
 * Stores one message. Resolves when the server has acknowledged all of it; rejects with the client's error when it did
 * not, and whether the entry is there is then unknown.
 */
export async function dropMessage(
  jetstream: JetStreamClient,
  submission: Submission,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const token = randomBytes(16).toString('hex');
  const parts = new PartCutter();
  let last = 0;
  const publish = async (part: Buffer): Promise<void> => {
    const expect = { streamName: MAILDROP_STREAM, lastSubjectSequence: last };
    last = (await jetstream.publish(partSubject(token), part, { timeout: 15_000, expect })).seq;
  };
  for (const part of parts.add(encodeSubmission(submission))) await publish(part);
  for await (const piece of content) for (const part of parts.add(piece)) await publish(part);
  await jetstream.publish(entrySubject(token), parts.end(), {
    timeout: 15_000,
    // A publish that the client repeats must not make a second entry.
    expect: { streamName: MAILDROP_STREAM, lastSubjectSequence: 0 },
  });
}

/** What stands in front of the content in an entry, and in what postdrop(1) reads. */
export function encodeSubmission({ envelope, extractRecipients }: Submission): Buffer {
  const encoded = Envelope.encode(envelope).finish();
  const head = Buffer.alloc(ENTRY_HEAD_SIZE);
  head.writeUInt8(VERSION, 0);
  head.writeUInt8(extractRecipients ? EXTRACT_RECIPIENTS : 0, 1);
  head.writeUInt32BE(encoded.length, 2);
  return Buffer.concat([head, encoded]);
}

/** Cuts a run of bytes into parts. */
export class PartCutter {
  #pieces: Buffer[] = [];
  #pending = 0;
  #count = 0;
  #size = 0;
  #checksum = 0;

  /** The parts that are full. */
  *add(piece: Buffer): Generator<Buffer> {
    this.#size += piece.length;
    this.#checksum = crc32(piece, this.#checksum);
    this.#pieces.push(piece);
    this.#pending += piece.length;
    // The last part is never empty of meaning, so a full one is only cut when there is more.
    while (this.#pending > PART_SIZE) {
      const all = Buffer.concat(this.#pieces);
      this.#pieces = [all.subarray(PART_SIZE)];
      this.#pending = all.length - PART_SIZE;
      this.#count++;
      yield all.subarray(0, PART_SIZE);
    }
  }

  /** The last part, with what it says of the whole. */
  end(): Buffer {
    const trailer = Buffer.alloc(TRAILER_SIZE);
    trailer.writeUInt8(VERSION, 0);
    trailer.writeUInt32BE(this.#count, 1);
    trailer.writeUInt32BE(this.#checksum, 5);
    trailer.writeBigUInt64BE(BigInt(this.#size), 9);
    return Buffer.concat([...this.#pieces, trailer]);
  }
}

/** The last part of an entry, taken apart. */
export interface LastPart {
  readonly data: Buffer;
  readonly partsBefore: number;
  readonly checksum: number;
  readonly size: number;
}

/** Throws MaildropDamaged. */
export function readLastPart(part: Buffer): LastPart {
  const end = part.length - TRAILER_SIZE;
  if (end < 0) throw new MaildropDamaged(`the last part has ${part.length} octets`);
  if (part.readUInt8(end) !== VERSION) throw new MaildropDamaged(`unknown version ${part.readUInt8(end)} of a part`);
  return {
    data: part.subarray(0, end),
    partsBefore: part.readUInt32BE(end + 1),
    checksum: part.readUInt32BE(end + 5),
    size: Number(part.readBigUInt64BE(end + 9)),
  };
}

export interface MaildropEntry {
  readonly submission: Submission;
  /** The content, once. Throws what `pieces` throw. */
  readonly content: AsyncIterable<Buffer>;
}

/** Reads what is in front of the content from the bytes of an entry. Throws MaildropDamaged. */
export async function readEntry(pieces: AsyncIterable<Buffer>): Promise<MaildropEntry> {
  const iterator = pieces[Symbol.asyncIterator]();
  let bytes: Buffer = Buffer.alloc(0);
  const need = async (length: number): Promise<void> => {
    while (bytes.length < length) {
      const { done, value } = await iterator.next();
      if (done === true) throw new MaildropDamaged('the entry ends in its envelope');
      bytes = bytes.length === 0 ? value : Buffer.concat([bytes, value]);
    }
  };
  await need(ENTRY_HEAD_SIZE);
  if (bytes.readUInt8(0) !== VERSION) throw new MaildropDamaged(`unknown version ${bytes.readUInt8(0)} of an entry`);
  const extractRecipients = (bytes.readUInt8(1) & EXTRACT_RECIPIENTS) !== 0;
  const length = bytes.readUInt32BE(2);
  if (length > ENVELOPE_LIMIT) throw new MaildropDamaged(`an envelope of ${length} octets`);
  const end = ENTRY_HEAD_SIZE + length;
  await need(end);
  const envelope = decodeEnvelope(bytes.subarray(ENTRY_HEAD_SIZE, end));
  const rest = bytes.subarray(end);
  const content = (async function* () {
    if (rest.length > 0) yield rest;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  })();
  return { submission: { envelope, extractRecipients }, content };
}

function decodeEnvelope(bytes: Buffer): Envelope {
  try {
    return Envelope.decode(bytes);
  } catch (error) {
    throw new MaildropDamaged(`the envelope cannot be read: ${String(error)}`);
  }
}

/**
 * All bytes of an entry; `earlier` gives the parts before the last one. Throws MaildropDamaged in place of the last piece
 * where the whole is not what was written.
 */
export async function* entryBytes(last: LastPart, earlier: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let size = 0;
  let checksum = 0;
  let parts = 0;
  for await (const part of earlier) {
    parts++;
    size += part.length;
    checksum = crc32(part, checksum);
    yield part;
  }
  size += last.data.length;
  checksum = crc32(last.data, checksum);
  if (parts !== last.partsBefore || size !== last.size || checksum !== last.checksum) {
    throw new MaildropDamaged(
      `${parts} of ${last.partsBefore} parts, ${size} of ${last.size} octets, or a wrong checksum`,
    );
  }
  if (last.data.length > 0) yield last.data;
}

/** An entry as one run of bytes with its checksum at the end: what postdrop(1) reads. */
export async function* sealEntry(submission: Submission, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const parts = new PartCutter();
  yield* parts.add(encodeSubmission(submission));
  for await (const piece of content) yield* parts.add(piece);
  yield parts.end();
}

/** The bytes of a sealed entry. Throws MaildropDamaged at the end where they are not all there. */
export async function* unsealEntry(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let size = 0;
  let checksum = 0;
  for await (const piece of input) {
    const data = held.length === 0 ? piece : Buffer.concat([held, piece]);
    const end = Math.max(data.length - TRAILER_SIZE, 0);
    held = data.subarray(end);
    if (end === 0) continue;
    const known = data.subarray(0, end);
    size += known.length;
    checksum = crc32(known, checksum);
    yield known;
  }
  const seal = readLastPart(held);
  if (seal.size !== size || seal.checksum !== checksum) {
    throw new MaildropDamaged(`${size} of ${seal.size} octets, or a wrong checksum`);
  }
}
