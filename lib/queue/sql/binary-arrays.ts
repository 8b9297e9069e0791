/**
 * Columns of many rows as arrays in Postgres' binary form (its array_recv and the receive functions of the elements), which
 * the driver passes on as it is. The driver's own form is text: each element is quoted, escaped and parsed again, which
 * costs both sides more than everything else that is done with a parameter.
 *
 * The statement must name the element's type: `$1::int[]`. Integers have to be such; their range is checked here for `int`,
 * and a bigint takes what a number holds exactly.
 */

const OID = { bool: 16, bytea: 17, int8: 20, text: 25, int4: 23, float8: 701 };
/** Dimensions, whether there may be nulls, the type of the elements, their number, the first index. */
const HEADER = 20;
const LENGTH = 4;
const NULL = -1;
/** Octets that UTF-8 needs at most for a unit of UTF-16. */
const UTF8_MOST = 3;
const TWO_TO_32 = 2 ** 32;

/** An array for elements that take `octets`, lengths included; these are still to be written. */
function start(type: number, count: number, octets: number): Buffer {
  const array = Buffer.allocUnsafe(HEADER + octets);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(1, 4);
  array.writeInt32BE(type, 8);
  array.writeInt32BE(count, 12);
  array.writeInt32BE(1, 16);
  return array;
}

/** An array of elements that all take `octets`; `write` puts one of them at its place. */
function fixedArray<T>(
  type: number,
  octets: number,
  values: readonly T[],
  write: (array: Buffer, value: T, at: number) => void,
): Buffer {
  const array = start(type, values.length, values.length * (LENGTH + octets));
  let at = HEADER;
  for (const value of values) {
    at = array.writeInt32BE(octets, at);
    write(array, value, at);
    at += octets;
  }
  return array;
}

export const int4Array = (values: readonly number[]): Buffer =>
  fixedArray(OID.int4, 4, values, (array, value, at) => array.writeInt32BE(value, at));

export const int8Array = (values: readonly number[]): Buffer =>
  fixedArray(OID.int8, 8, values, (array, value, at) => {
    array.writeInt32BE(Math.floor(value / TWO_TO_32), at);
    array.writeUInt32BE(value >>> 0, at + 4);
  });

export const float8Array = (values: readonly number[]): Buffer =>
  fixedArray(OID.float8, 8, values, (array, value, at) => array.writeDoubleBE(value, at));

export const boolArray = (values: readonly boolean[]): Buffer =>
  fixedArray(OID.bool, 1, values, (array, value, at) => array.writeUInt8(value ? 1 : 0, at));

function utf8Array(type: number, values: readonly (string | null)[]): Buffer {
  let most = 0;
  for (const value of values) most += LENGTH + (value?.length ?? 0) * UTF8_MOST;
  const array = start(type, values.length, most);
  let at = HEADER;
  for (const value of values) {
    const length = value === null ? NULL : array.write(value, at + LENGTH);
    at = array.writeInt32BE(length, at) + Math.max(0, length);
  }
  return array.subarray(0, at);
}

export const textArray = (values: readonly (string | null)[]): Buffer => utf8Array(OID.text, values);

/** The octets of strings as UTF-8: unlike `text`, it takes every string. */
export const byteaArray = (values: readonly string[]): Buffer => utf8Array(OID.bytea, values);
