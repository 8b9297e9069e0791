/**
 * Writes an index file: rows one by one into a temporary file beside it, then the hash table, then fsync(2) and rename(2).
 * Until the last step the old index stays as it is, and whoever has it open keeps it. Memory: 12 to 24 bytes for each row.
 */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { encodeBytes } from '../util/byte-text.ts';
import { encodeHeader, GONE, HEADER_SIZE, hashBytes, padded, RECORD_HEADER, SLOT_SIZE } from './index-file.ts';

export type AddResult = 'added' | 'duplicate' | 'replaced';

export interface FileRights {
  readonly mode: number;
  /** Set where the builder is to give the file away, which only root can. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

const BUFFER_SIZE = 1 << 20;
const FIRST_SLOTS = 1 << 10;

export class IndexBuilder implements Disposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(BUFFER_SIZE);
  #buffered = 0;
  /** Place in the file of the first buffered byte. */
  #written = HEADER_SIZE;
  #count = 0;
  /** Slots that are not empty: rows, and deleted ones. */
  #used = 0;
  #slots = FIRST_SLOTS;
  #hashes = new Uint32Array(FIRST_SLOTS);
  #places = new Uint32Array(FIRST_SLOTS);
  #open = true;

  constructor(path: string, rights: FileRights) {
    this.#path = path;
    this.#temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${Date.now().toString(36)}`);
    this.#fd = openSync(this.#temporary, 'wx+', rights.mode);
    try {
      // The mode given to open(2) is subject to the umask.
      fchmodSync(this.#fd, rights.mode);
      if (rights.owner !== undefined) fchownSync(this.#fd, rights.owner.uid, rights.owner.gid);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a row. A key that is there already stays, or is replaced. */
  add(key: string, value: string, replace = false): AddResult {
    const keyBytes = encodeBytes(key);
    const hash = hashBytes(keyBytes);
    const slot = this.#find(hash, keyBytes);
    const known = this.#places[slot]!;
    const isThere = known !== 0 && !this.#isGone(known * 8);
    if (isThere && !replace) return 'duplicate';
    if (isThere) this.#markGone(known * 8);
    else this.#count += 1;
    if (known === 0) this.#used += 1;
    this.#hashes[slot] = hash;
    this.#places[slot] = this.#append(keyBytes, encodeBytes(value)) / 8;
    if (this.#used * 2 > this.#slots) this.#grow();
    return isThere ? 'replaced' : 'added';
  }

  /**
   * Takes a row out; true where it was there. Its slot stays taken until the table is next made larger or written anew,
   * so that the search for other keys goes on behind it.
   */
  delete(key: string): boolean {
    const keyBytes = encodeBytes(key);
    const place = this.#places[this.#find(hashBytes(keyBytes), keyBytes)]!;
    if (place === 0 || this.#isGone(place * 8)) return false;
    this.#markGone(place * 8);
    this.#count -= 1;
    return true;
  }

  /** The slot of the key, or the empty one where it belongs. */
  #find(hash: number, key: Buffer): number {
    const mask = this.#slots - 1;
    let slot = hash & mask;
    while (this.#places[slot] !== 0) {
      if (this.#hashes[slot] === hash && this.#keyAt(this.#places[slot]! * 8).equals(key)) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const hashes = this.#hashes;
    const places = this.#places;
    this.#slots *= 2;
    this.#hashes = new Uint32Array(this.#slots);
    this.#places = new Uint32Array(this.#slots);
    const mask = this.#slots - 1;
    for (let old = 0; old < places.length; old++) {
      if (places[old] === 0) continue;
      let slot = hashes[old]! & mask;
      while (this.#places[slot] !== 0) slot = (slot + 1) & mask;
      this.#hashes[slot] = hashes[old]!;
      this.#places[slot] = places[old]!;
    }
  }

  #append(key: Buffer, value: Buffer): number {
    const length = padded(RECORD_HEADER + key.length + value.length);
    if (this.#buffered + length > BUFFER_SIZE) this.#flush();
    const offset = this.#written + this.#buffered;
    const fits = length <= BUFFER_SIZE;
    const target = fits ? this.#buffer : Buffer.alloc(length);
    const start = fits ? this.#buffered : 0;
    target.writeUInt32LE(key.length, start);
    target.writeUInt32LE(value.length, start + 4);
    key.copy(target, start + RECORD_HEADER);
    value.copy(target, start + RECORD_HEADER + key.length);
    target.fill(0, start + RECORD_HEADER + key.length + value.length, start + length);
    if (fits) this.#buffered += length;
    else {
      writeSync(this.#fd, target, 0, length, offset);
      this.#written += length;
    }
    return offset;
  }

  #flush(): void {
    writeSync(this.#fd, this.#buffer, 0, this.#buffered, this.#written);
    this.#written += this.#buffered;
    this.#buffered = 0;
  }

  #keyAt(offset: number): Buffer {
    const length = this.#bytesAt(offset, 4).readUInt32LE(0);
    return this.#bytesAt(offset + RECORD_HEADER, length);
  }

  #bytesAt(offset: number, length: number): Buffer {
    if (offset >= this.#written) return this.#buffer.subarray(offset - this.#written, offset - this.#written + length);
    const bytes = Buffer.alloc(length);
    readSync(this.#fd, bytes, 0, length, offset);
    return bytes;
  }

  #isGone(offset: number): boolean {
    return this.#bytesAt(offset + 4, 4).readUInt32LE(0) >= GONE;
  }

  #markGone(offset: number): void {
    const valueLength = Buffer.alloc(4);
    valueLength.writeUInt32LE((this.#bytesAt(offset + 4, 4).readUInt32LE(0) | GONE) >>> 0);
    if (offset >= this.#written) valueLength.copy(this.#buffer, offset - this.#written + 4);
    else writeSync(this.#fd, valueLength, 0, 4, offset + 4);
  }

  /** Completes the file and puts it in the place of the old one. `version` goes into its header. */
  commit(version = 0n): void {
    this.#flush();
    const slotsAt = this.#written;
    const table = Buffer.alloc(this.#slots * SLOT_SIZE);
    for (let slot = 0; slot < this.#slots; slot++) {
      table.writeUInt32LE(this.#hashes[slot]!, slot * SLOT_SIZE);
      table.writeUInt32LE(this.#places[slot]!, slot * SLOT_SIZE + 4);
    }
    writeSync(this.#fd, table, 0, table.length, slotsAt);
    writeSync(this.#fd, encodeHeader({ count: this.#count, slots: this.#slots, slotsAt, version }), 0, HEADER_SIZE, 0);
    fsyncSync(this.#fd);
    renameSync(this.#temporary, this.#path);
    this.#close();
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }

  /** Without commit nothing is left of it. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#close();
    unlinkSync(this.#temporary);
  }
}
