/**
 * Which addresses are this mail system's own, so that mail does not go round in circles: those of inet_interfaces and of
 * proxy_interfaces (postconf(5)).
 *
 * Side effects: reads the host's interfaces. Names in inet_interfaces are not looked up: one stands for all interfaces.
 */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Configuration } from '../../lib/config/settings.ts';

function interfaceAddresses(loopbackOnly: boolean): string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter(({ internal }) => internal || !loopbackOnly).map(({ address }) => address),
  );
}

export function ownAddresses(configuration: Configuration): (address: string) => boolean {
  const addresses = new Set<string>();
  for (const word of [...configuration.list('inet_interfaces'), ...configuration.list('proxy_interfaces')]) {
    const name = word.replace(/^\[(.*)\]$/, '$1');
    if (isIP(name) !== 0) addresses.add(name.toLowerCase());
    else for (const address of interfaceAddresses(name === 'loopback-only')) addresses.add(address);
  }
  return (address) => addresses.has(address.toLowerCase());
}
