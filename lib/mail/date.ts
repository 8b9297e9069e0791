/**
 * The date and time of message headers (RFC 5322 section 3.3): `Sun, 22 Nov 2026 14:07:36 +0000 (UTC)`, in the zone
 * of the process with its abbreviation as a comment.
 *
 * Pure but for the time zone of the process. The text of the last second is kept, since a busy server asks for the same
 * one a thousand times.
 */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let cachedSecond = Number.NaN;
let cachedText = '';
/** Abbreviations by offset in minutes: a zone has one for each. */
const zoneNames = new Map<number, string>();

/** Where abbreviations of zones are known: each of these knows those of its own part of the world. */
const ZONE_LOCALES = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-NZ', 'en-ZA', 'en-CA'];

/** The date of a moment given in milliseconds since the epoch. */
export function mailDate(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== cachedSecond) {
    cachedText = formatDate(new Date(second * 1000));
    cachedSecond = second;
  }
  return cachedText;
}

function formatDate(date: Date): string {
  const day = `${DAYS[date.getDay()]}, ${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time} ${offset(-date.getTimezoneOffset())} (${zoneName(date)})`;
}

function offset(minutesEast: number): string {
  const minutes = Math.abs(minutesEast);
  return `${minutesEast < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** The zone's abbreviation; its offset, as the system's zone tables have it, where none is known. */
function zoneName(date: Date): string {
  const minutesEast = -date.getTimezoneOffset();
  let name = zoneNames.get(minutesEast);
  if (name === undefined) {
    name = ZONE_LOCALES.map((locale) => abbreviation(date, locale)).find((text) => !/[+-]/.test(text));
    name ??= offset(minutesEast).replace(/00$/, '');
    zoneNames.set(minutesEast, name);
  }
  return name;
}

function abbreviation(date: Date, locale: string): string {
  const parts = new Intl.DateTimeFormat(locale, { timeZoneName: 'short' }).formatToParts(date);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? '+';
}
