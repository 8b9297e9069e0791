/**
 * The right-hand side of an alias and the lines of .forward and :include: files: `address`, `/file/name`, `|command`,
 * `:include:/file/name`, `\user`. See aliases(5). Pure; the number of destinations is bounded by the size of the text.
 */
import { parseAddressList } from '../../lib/mail/tok822.ts';

export type Destination =
  | { readonly kind: 'address'; readonly address: string }
  /** `\user`: the mailbox of a user, without regard to aliases and .forward files. */
  | { readonly kind: 'mailbox'; readonly user: string }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'include'; readonly path: string };

const INCLUDE = ':include:';

/** The destinations in one value or line. The null address names nobody and is left out. */
export function parseDestinations(text: string): Destination[] {
  const destinations: Destination[] = [];
  for (const item of parseAddressList(quoteBackslashNames(text))) {
    if (item === '') continue;
    destinations.push(toDestination(item));
  }
  return destinations;
}

/** The same for a file of lines, where `#` begins a comment line. */
export function parseDestinationLines(text: string): Destination[] {
  return text
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .flatMap((line) => parseDestinations(line));
}

function toDestination(item: string): Destination {
  if (item.startsWith('|')) return { kind: 'command', command: item.slice(1).trim() };
  if (item.startsWith('/')) return { kind: 'file', path: item };
  if (item.slice(0, INCLUDE.length).toLowerCase() === INCLUDE)
    return { kind: 'include', path: item.slice(INCLUDE.length) };
  if (item.startsWith('\\') && !item.includes('@')) return { kind: 'mailbox', user: item.slice(1) };
  return { kind: 'address', address: item.startsWith('\\') ? item.slice(1) : item };
}

/** In address syntax a backslash quotes the next character; at the start of a word here it is a sign of its own. */
function quoteBackslashNames(text: string): string {
  if (!text.includes('\\')) return text;
  let result = '';
  let inQuotes = false;
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index);
    if (char === '\\' && inQuotes) {
      result += char + text.charAt(++index);
      continue;
    }
    if (char === '"') inQuotes = !inQuotes;
    const previous = index === 0 ? ',' : text.charAt(index - 1);
    if (char === '\\' && !inQuotes && ', \t\r\n<'.includes(previous)) {
      const word = /^[A-Za-z0-9._+-]+/.exec(text.slice(index + 1, index + 256))?.[0] ?? '';
      result += `"\\\\${word}"`;
      index += word.length;
    } else result += char;
  }
  return result;
}
