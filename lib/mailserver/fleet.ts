/**
 * What a MailServer asks for, compiled: the services of its master.cf under the names that they have in Kubernetes, the
 * processes that run them, and their ports. Pure.
 *
 * A service that is called has its name in master.cf; one that listens has the name of its daemon on port 25, else the name
 * of its port (`submission`), or daemon and number (`smtpd-10025`). A process is a Deployment: its own service, and those
 * that are placed with it.
 */
import type { MasterEntry } from '../config/master-cf.ts';
import { KNOWN_PORTS } from '../server/endpoints.ts';
import { DAEMONS, type Daemon, NEEDLESS_DAEMONS } from './daemons.ts';
import { type MailServerSpec, SERVICE_NAME, type ServiceSpec } from './schema.ts';

export interface FleetPort {
  /** Service name of the master.cf entry: smtp, submission, 10025. */
  readonly entry: string;
  /** The port that clients know it by. */
  readonly port: number;
  /** The port in the container: above 1024, because no process is root. */
  readonly containerPort: number;
}

export interface FleetService {
  readonly name: string;
  readonly entry: MasterEntry;
  readonly daemon: Daemon;
  /** Of an inet entry. */
  readonly port?: FleetPort;
}

export interface FleetProcess {
  /** Name of the service that it is made for. */
  readonly name: string;
  /** That service first, then those that are placed with it. */
  readonly services: readonly FleetService[];
  readonly spec: ServiceSpec;
  /** Pods at the start; undefined where an autoscaler decides. */
  readonly replicas: number | undefined;
  readonly graceSeconds: number;
  readonly mountsMail: boolean;
}

export interface Fleet {
  readonly services: readonly FleetService[];
  readonly processes: readonly FleetProcess[];
}

export interface FleetProblem {
  readonly severity: 'error' | 'warning' | 'notice';
  readonly field: string;
  readonly text: string;
}

const WELL_KNOWN: Readonly<Record<number, number>> = { 25: 2525, 465: 2465, 587: 2587 };

function containerPort(port: number): number {
  return WELL_KNOWN[port] ?? (port < 1024 ? 10_000 + port : port);
}

/** Port of the name of an inet entry; undefined where it has none or names an address. */
export function portOf(name: string): number | undefined {
  if (!/^[\w-]+$/.test(name)) return undefined;
  const port = KNOWN_PORTS[name] ?? (/^\d{1,5}$/.test(name) ? Number(name) : undefined);
  return port !== undefined && port >= 1 && port <= 65_535 ? port : undefined;
}

export function serviceName({ name, type, command }: MasterEntry): string {
  if (type !== 'inet') return name;
  if (portOf(name) === 25) return command;
  return /^\d+$/.test(name) ? `${command}-${name}` : name;
}

/** The services of master.cf that a fleet runs, and what is wrong with the others. `field` says where an entry comes from. */
export function fleetServices(
  master: readonly MasterEntry[],
  field: (entry: MasterEntry) => string,
): { services: FleetService[]; problems: FleetProblem[] } {
  const services = new Map<string, FleetService>();
  const problems: FleetProblem[] = [];
  for (const entry of master) {
    const problem = (severity: FleetProblem['severity'], text: string): void =>
      void problems.push({ severity, field: field(entry), text });
    const daemon = DAEMONS.get(entry.command);
    const needless = NEEDLESS_DAEMONS.get(entry.command);
    if (daemon === undefined) {
      if (needless === undefined) problem('warning', `there is no daemon "${entry.command}"; the entry is left out`);
      else problem('notice', `${entry.command} is not needed: ${needless}`);
      continue;
    }
    const port = entry.type === 'inet' ? portOf(entry.name) : undefined;
    if (entry.type === 'inet' && port === undefined) {
      problem(
        'error',
        `"${entry.name}": expected a port number or one of ${Object.keys(KNOWN_PORTS).join(', ')}; pods listen on all of their addresses`,
      );
      continue;
    }
    if ((entry.type === 'inet') !== (daemon.kind === 'inet')) {
      problem(
        'error',
        `${entry.command} ${daemon.kind === 'inet' ? 'listens for clients' : 'is called by name'}: expected type ${daemon.kind === 'inet' ? 'inet' : 'unix'}`,
      );
      continue;
    }
    const name = serviceName(entry);
    if (!SERVICE_NAME.test(name)) {
      problem('error', `"${name}": expected at most 30 small letters, digits and "-", because it becomes a DNS name`);
      continue;
    }
    const other = services.get(name);
    if (other !== undefined) {
      problem(
        'error',
        `the service "${name}" is there twice: ${other.entry.name}/${other.entry.type} has the same name in Kubernetes`,
      );
      continue;
    }
    services.set(name, {
      name,
      entry,
      daemon,
      ...(port === undefined ? {} : { port: { entry: entry.name, port, containerPort: containerPort(port) } }),
    });
  }
  return { services: [...services.values()], problems };
}

/** Services that share a process where the spec does not say otherwise: they are idle in most fleets. */
const COMPANIONS: Readonly<Record<string, string>> = {
  defer: 'bounce',
  trace: 'bounce',
  retry: 'error',
  discard: 'error',
  relay: 'smtp',
  lmtp: 'smtp',
  flush: 'showq',
};

/** Can several pods write the mail storage? */
export function storageIsShared(spec: Pick<MailServerSpec, 'mailStorage'>): boolean {
  return spec.mailStorage?.accessModes.includes('ReadWriteMany') ?? true;
}

function placedWith(
  service: FleetService,
  spec: MailServerSpec,
  known: ReadonlyMap<string, FleetService>,
): string | undefined {
  const own = spec.services?.[service.name];
  if (own?.placement?.with !== undefined) return own.placement.with;
  const companion = COMPANIONS[service.name];
  // Whoever says how it runs wants it to run by itself.
  return own === undefined && companion !== undefined && known.has(companion) ? companion : undefined;
}

const settings = ({ entry }: FleetService): string => JSON.stringify([...entry.overrides].sort());

/** Would calls for one of two services in a process be answered by the other? Deliveries say whom they mean. */
function collides(service: FleetService, others: readonly FleetService[]): boolean {
  const { answers } = service.daemon;
  if (answers === undefined || answers === 'delivery') return false;
  return others.some((other) => other.daemon.answers === answers && settings(other) !== settings(service));
}

/** Puts services into processes. */
export function fleetProcesses(
  services: readonly FleetService[],
  spec: MailServerSpec,
): { processes: FleetProcess[]; problems: FleetProblem[] } {
  const known = new Map(services.map((service) => [service.name, service]));
  const problems: FleetProblem[] = Object.keys(spec.services ?? {})
    .filter((name) => !known.has(name))
    .map((name) => ({
      severity: 'error' as const,
      field: `spec.services.${name}`,
      text: `master.cf has no such service; expected one of ${[...known.keys()].join(', ')}`,
    }));
  const guests = new Map<string, FleetService[]>();
  for (const service of services) {
    const host = placedWith(service, spec, known);
    if (host === undefined) continue;
    const field = `spec.services.${service.name}.placement.with`;
    const hostService = known.get(host);
    if (hostService === undefined || host === service.name) {
      problems.push({ severity: 'error', field, text: `"${host}": expected another service of master.cf` });
    } else if (placedWith(hostService, spec, known) !== undefined) {
      problems.push({ severity: 'error', field, text: `"${host}" is itself placed with another service` });
    } else if (collides(service, [hostService, ...(guests.get(host) ?? [])])) {
      const text = `"${host}" answers the same calls with other settings: a caller could reach either`;
      problems.push({ severity: 'error', field, text });
    } else {
      guests.set(host, [...(guests.get(host) ?? []), service]);
    }
  }
  const guestNames = new Set([...guests.values()].flat().map(({ name }) => name));
  const processes = services
    .filter(({ name }) => !guestNames.has(name))
    .map((service) => processOf(service, guests.get(service.name) ?? [], spec));
  return { processes, problems };
}

function processOf(service: FleetService, guests: readonly FleetService[], spec: MailServerSpec): FleetProcess {
  const services = [service, ...guests];
  const own = spec.services?.[service.name] ?? {};
  const mountsMail = services.some(({ daemon }) => daemon.writesMailboxes === true);
  const one = services.some(({ daemon }) => daemon.maximumReplicas === 1) || (mountsMail && !storageIsShared(spec));
  return {
    name: service.name,
    services,
    spec: own,
    replicas:
      own.autoscaling !== undefined ? undefined : (own.replicas ?? (one ? Math.min(1, spec.replicas) : spec.replicas)),
    graceSeconds: own.terminationGracePeriodSeconds ?? Math.max(...services.map(({ daemon }) => daemon.graceSeconds)),
    mountsMail: mountsMail && spec.mailStorage !== undefined,
  };
}

/** Value of postfleet_port_map: the ports in containers. */
export function portMap(services: readonly FleetService[]): string {
  return services.flatMap(({ port }) => (port === undefined ? [] : [`${port.entry}=${port.containerPort}`])).join(', ');
}
