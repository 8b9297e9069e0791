/**
 * The index that postmap makes of a table's source where there is no database: `source.index`, a file of our own that is
 * written once and then only read.
 *
 * Layout, little-endian: a header of 64 bytes; records (key length, value length with a bit for "gone", key and value in
 * UTF-8, padded to 8 bytes); a hash table of slots of 8 bytes, hash and place of the record in units of 8 bytes, at
 * most half full, searched linearly. Place 0 is an empty slot, since the header is there.
 *
 * A lookup reads a run of slots and, where a hash agrees, one record. Small files are kept in memory; of large ones the
 * slots are (16 MB for a million rows) and records are read in place, so their pages are shared by all processes and a
 * key that is absent costs no system call. Very large ones are read in place entirely.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';

export const INDEX_SUFFIX = '.index';
export const HEADER_SIZE = 64;
export const RECORD_HEADER = 8;
export const SLOT_SIZE = 8;
/** In the value length: the row was deleted, or a later record has the same key. */
export const GONE = 0x80000000;
export const MAGIC = 0x31584950; // "PIX1"

const KEEP_IN_MEMORY = 16 * 1024 * 1024;
const KEEP_SLOTS = 64 * 1024 * 1024;
const SLOTS_PER_READ = 8;
const RECORD_GUESS = 512;

/** The file is no index, or not a whole one. */
export class IndexFormatError extends Error {
  override readonly name = 'IndexFormatError';
}

export interface IndexHeader {
  readonly count: number;
  /** Number of slots, a power of two. */
  readonly slots: number;
  /** Where the slots begin; the records end there. */
  readonly slotsAt: number;
  /** A number that the writer chose: the version of the table that the file is a copy of. */
  readonly version: bigint;
}

export function encodeHeader(header: IndexHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeDoubleLE(header.count, 8);
  bytes.writeDoubleLE(header.slots, 16);
  bytes.writeDoubleLE(header.slotsAt, 24);
  bytes.writeBigInt64LE(header.version, 32);
  return bytes;
}

function decodeHeader(bytes: Buffer, size: number): IndexHeader {
  if (bytes.length < HEADER_SIZE || bytes.readUInt32LE(0) !== MAGIC) throw new IndexFormatError('not a table index');
  if (bytes.readUInt32LE(4) !== 1) throw new IndexFormatError('table index of an unknown version');
  const header = {
    count: bytes.readDoubleLE(8),
    slots: bytes.readDoubleLE(16),
    slotsAt: bytes.readDoubleLE(24),
    version: bytes.readBigInt64LE(32),
  };
  if (header.slotsAt + header.slots * SLOT_SIZE !== size) throw new IndexFormatError('table index is not complete');
  return header;
}

/** FNV-1a over the UTF-8 bytes of a key, mixed at the end; the same for a text and its bytes. */
export function hashKey(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at);
    if (code > 0x7f) return hashBytes(encodeBytes(key));
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return mix(hash);
}

export function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return mix(hash);
}

function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** One open index. Its file may be replaced meanwhile: the one that was opened stays readable. */
export class IndexReader {
  readonly header: IndexHeader;
  readonly #fd: number;
  readonly #memory: Buffer | undefined;
  /** The slots that were read last: all of them, or a run. */
  #run: { words: Uint32Array; first: number } = { words: new Uint32Array(0), first: 0 };
  readonly #record = Buffer.alloc(RECORD_GUESS);
  #open = true;

  /** Throws IndexFormatError, or as open(2) and read(2) do. */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(this.#fd);
      this.header = decodeHeader(this.#readAt(0, HEADER_SIZE), size);
      this.#memory = size <= KEEP_IN_MEMORY ? this.#readAt(0, size) : undefined;
      const { slots } = this.header;
      if (slots * SLOT_SIZE <= KEEP_SLOTS) this.#run = { words: this.#readWords(0, slots), first: 0 };
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
    if (this.#memory !== undefined) this.close();
  }

  get(key: string): string | undefined {
    const hash = hashKey(key);
    const { slots } = this.header;
    const mask = slots - 1;
    for (let seen = 0, slot = hash & mask; seen < slots; seen++, slot = (slot + 1) & mask) {
      const { words, first } = this.#slotWords(slot);
      const at = (slot - first) * 2;
      const place = words[at + 1]!;
      if (place === 0) return undefined;
      if (words[at] !== hash) continue;
      const value = this.#valueAt(place * 8, key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** Words of the hash table that hold a slot, and the number of the first slot among them. */
  #slotWords(slot: number): { words: Uint32Array; first: number } {
    if (this.#run.words.length === this.header.slots * 2) return this.#run;
    const { words, first } = this.#run;
    if (slot >= first && slot < first + words.length / 2) return this.#run;
    const count = Math.min(SLOTS_PER_READ, this.header.slots - slot);
    this.#run = { words: this.#readWords(slot, count), first: slot };
    return this.#run;
  }

  #readWords(slot: number, count: number): Uint32Array {
    const offset = this.header.slotsAt + slot * SLOT_SIZE;
    const bytes = this.#memory?.subarray(offset, offset + count * SLOT_SIZE) ?? this.#readAt(offset, count * SLOT_SIZE);
    const words = new Uint32Array(count * 2);
    for (let at = 0; at < words.length; at++) words[at] = bytes.readUInt32LE(at * 4);
    return words;
  }

  /** The value of the record, undefined where its key is another. */
  #valueAt(offset: number, key: string): string | undefined {
    let bytes = this.#memory;
    let start = offset;
    if (bytes === undefined) {
      readSync(this.#fd, this.#record, 0, Math.min(RECORD_GUESS, this.header.slotsAt - offset), offset);
      const length = RECORD_HEADER + this.#record.readUInt32LE(0) + (this.#record.readUInt32LE(4) & ~GONE);
      bytes = length <= RECORD_GUESS ? this.#record : this.#readAt(offset, length);
      start = 0;
    }
    if (bytes.readUInt32LE(start + 4) >= GONE) return undefined;
    const keyEnd = start + RECORD_HEADER + bytes.readUInt32LE(start);
    if (!sameText(bytes, start + RECORD_HEADER, keyEnd, key)) return undefined;
    return decodeBytes(bytes.subarray(keyEnd, keyEnd + (bytes.readUInt32LE(start + 4) & ~GONE)));
  }

  /** All records that were not replaced, in the order of the source. */
  *entries(): Generator<readonly [string, string]> {
    for (let offset = HEADER_SIZE; offset < this.header.slotsAt; ) {
      const head = this.#read(offset, RECORD_HEADER);
      const keyLength = head.readUInt32LE(0);
      const valueLength = head.readUInt32LE(4);
      const length = keyLength + (valueLength & ~GONE);
      const isGone = valueLength >= GONE;
      const text = this.#read(offset + RECORD_HEADER, length);
      if (!isGone) yield [decodeBytes(text.subarray(0, keyLength)), decodeBytes(text.subarray(keyLength, length))];
      offset += padded(RECORD_HEADER + length);
    }
  }

  #read(offset: number, length: number): Buffer {
    return this.#memory?.subarray(offset, offset + length) ?? this.#readAt(offset, length);
  }

  #readAt(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#fd, bytes, done, length - done, offset + done);
      if (count === 0) throw new IndexFormatError('table index is not complete');
      done += count;
    }
    return bytes;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }
}

/** Compares without making a string where the key is ASCII. */
function sameText(bytes: Buffer, start: number, end: number, key: string): boolean {
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at);
    if (code > 0x7f) return decodeBytes(bytes.subarray(start, end)) === key;
    if (bytes[start + at] !== code) return false;
  }
  return end - start === key.length;
}

/** Records begin at multiples of 8. */
export function padded(length: number): number {
  return (length + 7) & ~7;
}
