/**
 * The IP addresses that count as this system's: inet_interfaces, and proxy_interfaces for those of a translator in front.
 *
 * Side effects: reads the network interfaces; names in the two parameters are looked up in the host's resolver.
 * Throws FatalError for a name that has no address. See postconf(5), inet_interfaces, proxy_interfaces, inet_protocols.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { FatalError } from '../util/errors.ts';
import { type Host, readHost } from './host.ts';
import type { Configuration } from './settings.ts';

const PARAMETERS = ['inet_interfaces', 'proxy_interfaces'] as const;

/** The addresses as text without brackets, each once; of some of the two parameters, or of both. */
export async function ownAddresses(
  configuration: Configuration,
  host: Host = readHost(),
  of: readonly string[] = PARAMETERS,
): Promise<string[]> {
  const protocols = configuration.list('inet_protocols');
  const wanted = (family: number): boolean => protocols.includes('all') || protocols.includes(`ipv${family}`);
  const addresses: string[] = [];
  for (const parameter of of) {
    for (const item of configuration.list(parameter)) {
      if (item === 'all') addresses.push(...host.addresses.map(({ address }) => address));
      else if (item === 'loopback-only') addresses.push(...host.addresses.map(plainAddress).filter(isLoopback));
      else addresses.push(...(await addressesOf(parameter, item)));
    }
  }
  return [...new Set(addresses.filter((address) => wanted(isIP(address))))];
}

function plainAddress({ address }: { readonly address: string }): string {
  return address;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

async function addressesOf(parameter: string, item: string): Promise<string[]> {
  const text = item.replace(/^\[(.*)\]$/, '$1');
  if (isIP(text) !== 0) return [text];
  try {
    return (await lookup(text, { all: true })).map(plainAddress);
  } catch (error) {
    throw new FatalError(`config variable ${parameter}: host not found: ${item}`, { cause: error });
  }
}
