/**
 * What the log's "stored" means, as the NATS server itself says: only its monitoring port (or its system account) shows
 * whether it syncs every write. Anything but "fsync" is a reason not to start, unless postfleet_weak_durability allows it.
 *
 * Throws FatalError. Logs a warning where weak durability is allowed.
 */
import type { Configuration } from '../config/settings.ts';
import { FatalError } from '../util/errors.ts';
import type { Log } from '../util/log.ts';

export type Durability = 'fsync' | 'weak' | 'unknown';

export const DURABILITY_PARAMETERS = ['postfleet_nats_monitor_url', 'postfleet_weak_durability'] as const;

/** Asks the monitoring port at `url`, e.g. "http://127.0.0.1:8222". */
export async function seenDurability(url: string): Promise<Durability> {
  if (url === '') return 'unknown';
  try {
    const response = await fetch(`${url.replace(/\/$/, '')}/varz`, { signal: AbortSignal.timeout(3000) });
    const varz = (await response.json()) as { jetstream?: { config?: { sync_always?: boolean } } };
    return varz.jetstream?.config?.sync_always === true ? 'fsync' : 'weak';
  } catch {
    return 'unknown';
  }
}

/** Checks once for a process; resolves to what was seen. */
export async function durability(configuration: Configuration, log: Log): Promise<Durability> {
  const url = configuration.text('postfleet_nats_monitor_url');
  const seen = await seenDurability(url);
  if (seen === 'fsync') return seen;
  const what =
    seen === 'weak'
      ? 'the NATS server does not sync every write (sync_interval is not "always")'
      : `whether the NATS server syncs every write is unknown (postfleet_nats_monitor_url is ${url === '' ? 'not set' : `"${url}", which does not answer`})`;
  if (!configuration.boolean('postfleet_weak_durability')) {
    throw new FatalError(
      `${what}: accepted mail could be lost; set sync_interval: always, or postfleet_weak_durability = yes if that is meant`,
    );
  }
  log.warning(`${what}: accepted mail can be lost, as postfleet_weak_durability allows`);
  return seen;
}
