/**
 * Recipients of an active message for which there is no room in memory yet: kept in their encoded form, in pieces that
 * are let go as they are read, at about a tenth of what they take as objects.
 */
import { Recipient } from '../../lib/clients/generated/postfleet/v1/envelope.ts';

export interface UnreadRecipient {
  readonly offset: number;
  /** Attempts that it has behind it. */
  readonly attempts: number;
  readonly recipient: Recipient;
}

/** Recipients in a piece. */
const PIECE = 1000;
/** Length, offset in the envelope, attempts: 32 bits each. */
const HEAD = 12;

function encode(recipients: readonly UnreadRecipient[]): Buffer {
  return Buffer.concat(
    recipients.flatMap(({ offset, attempts, recipient }) => {
      const bytes = Recipient.encode(recipient).finish();
      const head = Buffer.allocUnsafe(HEAD);
      head.writeUInt32BE(bytes.length, 0);
      head.writeUInt32BE(offset, 4);
      head.writeUInt32BE(attempts, 8);
      return [head, bytes];
    }),
  );
}

export class Unread {
  #pieces: Buffer[] = [];
  /** Octets of the first piece that are read. */
  #at = 0;
  #count = 0;
  readonly #grown: (octets: number) => void;

  /** `grown` is told by how many octets of memory it has grown, or shrunk where that is below 0. */
  constructor(grown: (octets: number) => void) {
    this.#grown = grown;
  }

  get count(): number {
    return this.#count;
  }

  add(recipients: readonly UnreadRecipient[]): void {
    for (let at = 0; at < recipients.length; at += PIECE) {
      const piece = encode(recipients.slice(at, at + PIECE));
      this.#pieces.push(piece);
      this.#grown(piece.length);
    }
    this.#count += recipients.length;
  }

  /** Takes out the first `limit` recipients. */
  take(limit: number): UnreadRecipient[] {
    const taken: UnreadRecipient[] = [];
    while (taken.length < limit && this.#count > 0) {
      const piece = this.#pieces[0]!;
      const length = piece.readUInt32BE(this.#at);
      const start = this.#at + HEAD;
      taken.push({
        offset: piece.readUInt32BE(this.#at + 4),
        attempts: piece.readUInt32BE(this.#at + 8),
        recipient: Recipient.decode(piece.subarray(start, start + length)),
      });
      this.#count--;
      this.#at = start + length;
      if (this.#at < piece.length) continue;
      this.#pieces.shift();
      this.#grown(-piece.length);
      this.#at = 0;
    }
    return taken;
  }

  /** Lets go of all. */
  clear(): void {
    for (const piece of this.#pieces) this.#grown(-piece.length);
    this.#pieces = [];
    this.#at = 0;
    this.#count = 0;
  }
}
