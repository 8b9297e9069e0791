/**
 * Where an inet entry of master.cf listens: `[host:]port` with inet_interfaces and postfleet_port_map.
 *
 * Throws FatalError for a port that is no number and in no table.
 */
import type { MasterEntry } from '../config/master-cf.ts';
import type { Configuration } from '../config/settings.ts';
import { FatalError } from '../util/errors.ts';
import type { Endpoint } from './tcp-server.ts';

export const ENDPOINT_PARAMETERS = ['inet_interfaces', 'postfleet_port_map'] as const;

/** Names that master.cf files use; /etc/services is not read, because containers lack it. */
export const KNOWN_PORTS: Readonly<Record<string, number>> = {
  smtp: 25,
  submission: 587,
  submissions: 465,
  smtps: 465,
  lmtp: 24,
};

function portMap(configuration: Configuration): Map<string, string> {
  return new Map(
    configuration.list('postfleet_port_map').map((pair) => {
      const [service = '', port = ''] = pair.split('=');
      return [service.trim(), port.trim()];
    }),
  );
}

function interfaces(configuration: Configuration): string[] {
  const hosts = configuration.list('inet_interfaces');
  if (hosts.includes('all')) return ['::'];
  return hosts.flatMap((host) =>
    host === 'loopback-only' || host === 'localhost' ? ['127.0.0.1'] : [host.replace(/^\[|\]$/g, '')],
  );
}

export function endpoints(configuration: Configuration, entry: MasterEntry): Endpoint[] {
  const map = portMap(configuration);
  const mapped = map.get(entry.name) ?? entry.name;
  const colon = mapped.lastIndexOf(':');
  const service = mapped.slice(colon + 1);
  const port = Number(map.get(service) ?? KNOWN_PORTS[service] ?? service);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new FatalError(
      `master.cf, line ${entry.line}: "${entry.name}": expected [host:]port with a number or a known service name`,
    );
  }
  if (colon >= 0) return [{ host: mapped.slice(0, colon).replace(/^\[|\]$/g, ''), port }];
  return interfaces(configuration).map((host) => ({ host, port }));
}
