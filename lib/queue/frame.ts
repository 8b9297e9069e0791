/**
 * The frame: what one JetStream message of an incoming or deferred log holds. A run of queue entries, each an envelope
 * (protobuf) and its inline content, behind a header with a version and a checksum. docs/adr/0001-frame-format.md.
 *
 *   0  "PF"           magic
 *   2  version        u8, 1
 *   3  reserved       u8, 0
 *   4  checksum       u32 little-endian, CRC-32 (IEEE 802.3) of everything from byte 8
 *   8  entry count    u32; all ones in a fence, which has no entries: it takes the place of a frame of unknown fate
 *  12  frame id       u64: the writer's random number and its counter
 *  20  entries        each: envelope length u32, content length u32, envelope, content
 *
 * Pure functions. Decoding gives a value for whatever it is fed: a frame of a later version, or damage, is told apart.
 */
import { crc32 } from 'node:zlib';

export const FRAME_VERSION = 1;
export const FRAME_HEADER_LENGTH = 20;
export const ENTRY_HEADER_LENGTH = 8;

const FENCE = 0xffffffff;

export interface FrameEntry {
  readonly envelope: Buffer;
  readonly content: Buffer;
}

/** What becomes one: the content may lie in pieces. */
export interface NewFrameEntry {
  readonly envelope: Buffer;
  readonly content: readonly Buffer[];
}

export interface Frame {
  readonly id: string;
  readonly fence: boolean;
  readonly entries: readonly FrameEntry[];
}

export type DecodedFrame =
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'later-version'; readonly version: number }
  | { readonly kind: 'damaged'; readonly reason: string };

/** Octets of content that lies in pieces. */
export function contentLength(content: readonly Buffer[]): number {
  let length = 0;
  for (const piece of content) length += piece.length;
  return length;
}

/** Octets that an entry takes in a frame. */
export function entryLength({ envelope, content }: NewFrameEntry): number {
  return ENTRY_HEADER_LENGTH + envelope.length + contentLength(content);
}

/** The id as it stands in the frame's bytes 12 to 19. */
function frameId(bytes: Buffer): string {
  return bytes.toString('hex', 12, 20);
}

function seal(bytes: Buffer, count: number, writer: number, counter: number): string {
  bytes.write('PF', 0, 'latin1');
  bytes[2] = FRAME_VERSION;
  bytes[3] = 0;
  bytes.writeUInt32LE(count, 8);
  bytes.writeUInt32BE(writer, 12);
  bytes.writeUInt32BE(counter, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return frameId(bytes);
}

/** `writer` and `counter` (both u32) make the frame's id; together they are never used twice. */
export function encodeFrame(
  entries: readonly NewFrameEntry[],
  writer: number,
  counter: number,
): { bytes: Buffer<ArrayBuffer>; id: string } {
  let length = FRAME_HEADER_LENGTH;
  for (const entry of entries) length += entryLength(entry);
  // Memory of its own, so that it can be given to another thread.
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = FRAME_HEADER_LENGTH;
  for (const { envelope, content } of entries) {
    bytes.writeUInt32LE(envelope.length, at);
    bytes.writeUInt32LE(contentLength(content), at + 4);
    at += ENTRY_HEADER_LENGTH;
    at += envelope.copy(bytes, at);
    for (const piece of content) at += piece.copy(bytes, at);
  }
  return { bytes, id: seal(bytes, entries.length, writer, counter) };
}

export function encodeFence(writer: number, counter: number): { bytes: Buffer; id: string } {
  const bytes = Buffer.alloc(FRAME_HEADER_LENGTH);
  return { bytes, id: seal(bytes, FENCE, writer, counter) };
}

/** What was written in the place of a frame of unknown fate. */
export function isFence(bytes: Buffer): boolean {
  const decoded = decodeFrame(bytes);
  return decoded.kind === 'frame' && decoded.frame.fence;
}

const damaged = (reason: string): DecodedFrame => ({ kind: 'damaged', reason });

/** The entries are views of `bytes`; nothing is copied. */
export function decodeFrame(bytes: Buffer): DecodedFrame {
  if (bytes.length < FRAME_HEADER_LENGTH) return damaged(`${bytes.length} octets are fewer than a frame's header`);
  if (bytes.toString('latin1', 0, 2) !== 'PF') return damaged('not a frame: it does not begin with "PF"');
  const version = bytes[2]!;
  if (version === 0 || bytes[3] !== 0) return damaged('the version is not one');
  if (version > FRAME_VERSION) return { kind: 'later-version', version };
  if (crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) return damaged('the checksum does not match');
  const fence = bytes.readUInt32LE(8) === FENCE;
  const count = fence ? 0 : bytes.readUInt32LE(8);
  const entries: FrameEntry[] = [];
  let at = FRAME_HEADER_LENGTH;
  for (let entry = 0; entry < count; entry++) {
    if (at + ENTRY_HEADER_LENGTH > bytes.length) return damaged(`entry ${entry} of ${count} is cut short`);
    const envelopeEnd = at + ENTRY_HEADER_LENGTH + bytes.readUInt32LE(at);
    const contentEnd = envelopeEnd + bytes.readUInt32LE(at + 4);
    if (contentEnd > bytes.length) return damaged(`entry ${entry} of ${count} is cut short`);
    entries.push({
      envelope: bytes.subarray(at + ENTRY_HEADER_LENGTH, envelopeEnd),
      content: bytes.subarray(envelopeEnd, contentEnd),
    });
    at = contentEnd;
  }
  if (at !== bytes.length) return damaged(`${bytes.length - at} octets follow the last entry`);
  return { kind: 'frame', frame: { id: frameId(bytes), fence, entries } };
}
