/** Reads `host:port`, `[host]:port`, `[address]`, `[ipv6:address]` and their parts, as in relayhost or inet: endpoints. */
import { addressProblem, isAddress, isHostname } from './hostname.ts';

export interface HostPortDefaults {
  /** Used where the text is a port alone. */
  readonly host?: string;
  /** Used where the text has no port. A text without colon is a host where this is set, a port otherwise. */
  readonly service?: string;
}

export type HostPort = { readonly host: string; readonly port: string } | { readonly error: string };

/** The parts as text; the port may be a service name. */
export function parseHostPort(text: string, defaults: HostPortDefaults = {}): HostPort {
  const split = splitHostPort(text, defaults);
  if ('error' in split) return split;
  const host = split.host || (defaults.host ?? '');
  const port = split.port || (defaults.service ?? '');
  if (host === '' && defaults.host === undefined) return { error: 'missing host name' };
  if (port === '') return { error: 'missing service name' };
  if (/^\d+\D/.test(port)) return { error: 'garbage after numerical service' };
  return withoutPrefix(host, port);
}

function splitHostPort(text: string, defaults: HostPortDefaults): HostPort {
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return { error: 'missing "]"' };
    const rest = text.slice(close + 1);
    if (rest !== '' && !rest.startsWith(':')) return { error: 'garbage after "]"' };
    return { host: text.slice(1, close), port: rest.slice(1) };
  }
  const colon = text.indexOf(':');
  if (colon >= 0) return { host: text.slice(0, colon), port: text.slice(colon + 1) };
  return defaults.service === undefined ? { host: '', port: text } : { host: text, port: '' };
}

function withoutPrefix(host: string, port: string): HostPort {
  if (/^ipv6:/i.test(host)) {
    const address = host.slice(5);
    const isIPv6 = address.includes(':') && addressProblem(address) === undefined;
    return isIPv6 ? { host: address, port } : { error: 'malformed IPv6 address' };
  }
  if (host === '' || isHostname(host) || isAddress(host)) return { host, port };
  return { error: 'valid hostname or network address required' };
}
