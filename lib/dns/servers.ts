/**
 * Which name servers are asked: those of postfleet_dns_servers, else those of /etc/resolv.conf, else one on this host.
 * `search` and `ndots` of resolv.conf are not followed: the names in mail are complete.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { FatalError } from '../util/errors.ts';
import type { NameServer } from './exchange.ts';

const DNS_PORT = 53;
const RESOLV_CONF = '/etc/resolv.conf';
/** As many as resolv.conf(5) looks at. */
const MOST_SYSTEM_SERVERS = 3;

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`. Throws FatalError for anything else. */
export function parseNameServer(text: string): NameServer {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT };
  const colon = text.lastIndexOf(':');
  const address = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const port = Number(text.slice(colon + 1));
  if (colon > 0 && isIP(address) !== 0 && Number.isInteger(port) && port > 0 && port < 65_536) return { address, port };
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) !== 0) return { address: bare, port: DNS_PORT };
  throw new FatalError(`postfleet_dns_servers: ${text}: expected an address or address:port`);
}

/** The servers in the text of a resolv.conf(5). */
export function parseResolvConf(text: string): NameServer[] {
  const servers: NameServer[] = [];
  for (const line of text.split('\n')) {
    const [keyword, value = ''] = line.trim().split(/\s+/);
    // The scope of a link-local address (fe80::1%eth0) is a part of it.
    if (keyword !== 'nameserver' || isIP(value) === 0) continue;
    servers.push({ address: value, port: DNS_PORT });
  }
  return servers.slice(0, MOST_SYSTEM_SERVERS);
}

export function nameServers(configured: readonly string[]): NameServer[] {
  if (configured.length > 0) return configured.map(parseNameServer);
  let servers: NameServer[] = [];
  try {
    servers = parseResolvConf(readFileSync(RESOLV_CONF, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new FatalError(`${RESOLV_CONF}: ${String(error)}`);
  }
  return servers.length > 0 ? servers : [{ address: '127.0.0.1', port: DNS_PORT }];
}
