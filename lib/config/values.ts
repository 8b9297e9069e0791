/**
 * Values of typed parameters: yes and no, whole numbers, times with a unit. Pure; undefined means that the text is not
 * such a value. @see postconf(5)
 */

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** Largest time that Postfix accepts, in seconds. */
const maximumSeconds = 2 ** 31 - 1;

export function parseBoolean(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  return word === 'yes' ? true : word === 'no' ? false : undefined;
}

export function parseInteger(text: string): number | undefined {
  const digits = text.trim();
  if (!/^-?[0-9]{1,16}$/.test(digits)) return undefined;
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Seconds of a number with a one-letter unit: s, m, h, d, w; `defaultUnit` where there is none. */
export function parseSeconds(text: string, defaultUnit: string): number | undefined {
  const match = /^([0-9]{1,10})([smhdw]?)$/.exec(text.trim());
  if (match === null) return undefined;
  const seconds = Number(match[1]) * unitSeconds[match[2] || defaultUnit]!;
  return seconds <= maximumSeconds ? seconds : undefined;
}
