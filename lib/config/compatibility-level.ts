/**
 * compatibility_level: `major`, `major.minor` or `major.minor.patch`, compared number by number (3.10 is above 3.2).
 * Pure. A level is kept as one number, 10 bits each for minor and patch. @see COMPATIBILITY_README
 */

const syntax = /^([0-9]{1,9})(?:\.([0-9]{1,9})(?:\.([0-9]{1,9}))?)?$/;
const partSize = 1024;
const maximumMajor = 2047;

/** The level as a number that orders levels, or undefined where the text is not a level. */
export function parseCompatibilityLevel(text: string): number | undefined {
  const match = syntax.exec(text.trim());
  if (match === null) return undefined;
  const [major, minor, patch] = [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)];
  if (major > maximumMajor || minor >= partSize || patch >= partSize) return undefined;
  return (major * partSize + minor) * partSize + patch;
}

/** The normal form: parts that are zero at the end are left out. */
export function formatCompatibilityLevel(level: number): string {
  const patch = level % partSize;
  const minor = Math.floor(level / partSize) % partSize;
  const major = Math.floor(level / partSize / partSize);
  if (patch > 0) return `${major}.${minor}.${patch}`;
  return minor > 0 ? `${major}.${minor}` : `${major}`;
}

/** The comparison behind `<level`, `>=level` and so on, for lib/config/expand.ts. */
export function compareLevels(left: string, right: string, warn: (text: string) => void): number | undefined {
  const [a, b] = [left, right].map((text) => {
    const level = parseCompatibilityLevel(text);
    if (level === undefined) warn(`malformed compatibility level syntax: "${text}"`);
    return level;
  });
  return a === undefined || b === undefined ? undefined : a - b;
}
