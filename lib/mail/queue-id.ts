/**
 * Queue ids in Postfix's long form (postconf(5), enable_long_queue_ids): the time in seconds in base 52 (digits and
 * consonants, at least six characters), the microseconds in base 52 (four characters), `z`, and a unique part in base 51
 * (the same characters without `z`).
 *
 * Postfix's unique part is an inode number. Here it comes from a random number per process and a counter, because
 * processes on many hosts make ids at the same microsecond: a random number of 39 bits is drawn per process, and anew after
 * each 6.7 million ids. The clock is shown, never relied upon.
 *
 * Side effects: draws random numbers. Cheap: one id costs a few table look-ups.
 */
import { randomInt } from 'node:crypto';

/** Base 52: digits and consonants, so that ids spell no words. The last one, `z`, is the separator in base 51. */
const ALPHABET = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz';
const SECONDS_WIDTH = 6;
const MICROSECONDS_WIDTH = 4;
const SEPARATOR = 'z';
const PROCESS_WIDTH = 7;
const PROCESS_VALUES = 51 ** PROCESS_WIDTH;
const COUNTER_WIDTH = 4;
const COUNTER_VALUES = 51 ** COUNTER_WIDTH;

/** The longest id that is accepted from outside, in bytes: generous, and safe for file names, logs and columns. */
const MAX_LENGTH = 64;

/** Makes queue ids. The argument is the arrival time in microseconds since the epoch. */
export type QueueIdGenerator = (nowMicroseconds: bigint) => string;

function encode(value: number, base: 51 | 52, width: number): string {
  let text = '';
  let rest = value;
  while (rest > 0) {
    text = ALPHABET.charAt(rest % base) + text;
    rest = Math.floor(rest / base);
  }
  return text.padStart(width, '0');
}

/** Where a generator gets its random part, and for how many ids it uses it; tests give their own. */
export interface QueueIdSource {
  readonly drawProcess: () => number;
  readonly idsPerDraw: number;
}

const SYSTEM: QueueIdSource = { drawProcess: () => randomInt(PROCESS_VALUES), idsPerDraw: COUNTER_VALUES };

/**
 * A generator whose ids differ from those of every other generator. The order of two ids of one second is not their
 * order in time beyond the microsecond.
 */
export function createQueueIdGenerator({ drawProcess, idsPerDraw }: QueueIdSource = SYSTEM): QueueIdGenerator {
  let processPart = encode(drawProcess(), 51, PROCESS_WIDTH);
  let counter = 0;
  let cachedSecond = -1;
  let secondPart = '';
  return (nowMicroseconds) => {
    const microseconds = Number(nowMicroseconds);
    const second = Math.floor(microseconds / 1_000_000);
    if (second !== cachedSecond) {
      cachedSecond = second;
      secondPart = encode(second, 52, SECONDS_WIDTH);
    }
    if (counter === idsPerDraw) {
      counter = 0;
      processPart = encode(drawProcess(), 51, PROCESS_WIDTH);
    }
    const unique = processPart + encode(counter++, 51, COUNTER_WIDTH);
    return secondPart + encode(microseconds - second * 1_000_000, 52, MICROSECONDS_WIDTH) + SEPARATOR + unique;
  };
}

/** Is the text fit to be a queue id, long or short form: letters and digits, bounded? */
export function isQueueId(text: string): boolean {
  return text.length > 0 && text.length <= MAX_LENGTH && /^[0-9A-Za-z]+$/.test(text);
}

/** The time in a long queue id, in microseconds since the epoch; undefined where the id is not of that form. */
export function queueIdTime(id: string): bigint | undefined {
  const separator = id.lastIndexOf(SEPARATOR);
  if (separator < SECONDS_WIDTH + MICROSECONDS_WIDTH) return undefined;
  const seconds = decode52(id.slice(0, separator - MICROSECONDS_WIDTH));
  const microseconds = decode52(id.slice(separator - MICROSECONDS_WIDTH, separator));
  if (seconds === undefined || microseconds === undefined || microseconds >= 1_000_000) return undefined;
  return BigInt(seconds) * 1_000_000n + BigInt(microseconds);
}

function decode52(text: string): number | undefined {
  let value = 0;
  for (const char of text) {
    const digit = ALPHABET.indexOf(char);
    if (digit < 0 || value > Number.MAX_SAFE_INTEGER / 64) return undefined;
    value = value * 52 + digit;
  }
  return value;
}
