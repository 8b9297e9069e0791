/**
 * Nexthop texts of the SMTP and LMTP client (smtp(8), DESTINATION SYNTAX): `domain`, `domain:port`, `[host]`,
 * `[host]:port`, `[address]:port`, `inet:host:port`, `unix:path`, and several of them with commas or blanks between.
 *
 * Pure.
 */
import type { Settings } from './settings.ts';
import { resolvePort } from './settings.ts';

export type Destination =
  | {
      readonly kind: 'unix';
      readonly text: string;
      /** The path as it was written. */
      readonly name: string;
      /** The same, absolute. */
      readonly path: string;
    }
  | {
      readonly kind: 'inet';
      /** As it was written: the key of cached connections. */
      readonly text: string;
      /** A domain with mail exchangers, or the name or numerical address of a host. */
      readonly name: string;
      readonly port: number;
      /** Are mail exchangers looked up? */
      readonly mx: boolean;
    };

export interface BadDestination {
  readonly kind: 'bad';
  readonly text: string;
  readonly problem: string;
}

/** The destinations of a nexthop, in the order in which they are tried. */
export function splitNexthop(nexthop: string): string[] {
  return nexthop.split(/[\s,]+/).filter((word) => word !== '');
}

export function parseDestination(
  text: string,
  settings: Pick<Settings, 'protocol' | 'defaultPort' | 'knownPorts' | 'mxLookup' | 'queueDirectory'>,
): Destination | BadDestination {
  if (settings.protocol === 'lmtp' && text.startsWith('unix:')) {
    const name = text.slice(5);
    return { kind: 'unix', text, name, path: name.startsWith('/') ? name : `${settings.queueDirectory}/${name}` };
  }
  const rest = text.startsWith('inet:') ? text.slice(5) : text;
  const bracketed = rest.startsWith('[');
  const close = bracketed ? rest.indexOf(']') : -1;
  if (bracketed && close < 0) return { kind: 'bad', text, problem: `missing ']' in server description: ${text}` };
  const nameEnd = bracketed ? close : rest.indexOf(':') < 0 ? rest.length : rest.indexOf(':');
  const name = rest.slice(bracketed ? 1 : 0, nameEnd);
  const tail = rest.slice(bracketed ? close + 1 : nameEnd);
  if (name === '') return { kind: 'bad', text, problem: `empty host name in server description: ${text}` };
  if (tail !== '' && !tail.startsWith(':')) {
    return { kind: 'bad', text, problem: `garbage after ']' in server description: ${text}` };
  }
  const portName = tail.slice(1);
  const port = portName === '' ? settings.defaultPort : resolvePort(portName, settings.knownPorts);
  if (port === undefined) return { kind: 'bad', text, problem: `unknown port in server description: ${text}` };
  const address = /^ipv6:/i.test(name) ? name.slice(5) : name;
  return { kind: 'inet', text, name: address, port, mx: settings.mxLookup && !bracketed };
}
