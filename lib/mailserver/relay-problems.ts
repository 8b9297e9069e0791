/**
 * Whether a MailServer would be an open relay, as problems: each inet smtpd of master.cf that the Service leads to, judged
 * by its own settings (open-relay.ts), with its restriction lists read as smtpd reads them. Pure.
 *
 * Limit: what a table in a ConfigMap, a Secret or a database answers is not known here; a restriction that only stands in
 * such an answer is not seen.
 */
import type { MasterEntry } from '../config/master-cf.ts';
import type { Configuration } from '../config/settings.ts';
import { restrictionName, restrictionWords } from '../smtp/restriction-names.ts';
import { type FleetProblem, portOf } from './fleet.ts';
import { LOOPBACK } from './main-cf.ts';
import { openRelay } from './open-relay.ts';
import type { MailServerSpec, MasterCfEntry } from './schema.ts';
import { tablesIn } from './table-use.ts';

/** What a cluster usually has, for a check without one. */
const PRIVATE_NETWORKS = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'];

/** Whoever is permitted in these may send to anywhere. */
const RELAY_PARAMETERS = ['smtpd_relay_restrictions', 'smtpd_recipient_restrictions'] as const;

/** Does a port of the Service lead to an inet entry of this name? */
export function leadsTo(service: string, name: string): boolean {
  return name === service || (portOf(name) !== undefined && portOf(name) === portOf(service));
}

/**
 * What stands in the way of a safe relay. `field` says where an entry comes from; `clusterNetworks` are the addresses and
 * networks of nodes and pods, undefined where there is no cluster: then private networks are only warned of.
 */
export function relayProblems(
  spec: MailServerSpec,
  configuration: Configuration,
  field: (entry: MasterEntry) => string,
  clusterNetworks: readonly string[] | undefined,
): FleetProblem[] {
  const { type, trafficPolicy, ports } = spec.ingress;
  /** One for all entries that have the same from main.cf. */
  const found = new Map<string, FleetProblem>();
  for (const entry of configuration.master) {
    if (entry.type !== 'inet' || entry.command !== 'smtpd') continue;
    if (ports !== undefined && !ports.some(({ service }) => leadsTo(service, entry.name))) continue;
    const settings = configuration.ofEntry(entry);
    const relay = openRelay({
      type,
      trafficPolicy,
      proxyProtocol: settings.text('smtpd_upstream_proxy_protocol') !== '',
      mynetworks: settings.text('mynetworks'),
      permitsMynetworks: permitsMynetworks(settings, spec.tables ?? {}),
      clusterNetworks: clusterNetworks ?? PRIVATE_NETWORKS,
    });
    if (relay.verdict === 'safe') continue;
    const place = entry.overrides.has('mynetworks') ? field(entry) : 'spec.mainCf.mynetworks';
    const why = `with spec.ingress.trafficPolicy Cluster and no PROXY protocol every client of ${entry.name}/${entry.type} has the address of a node`;
    const proxy = spec.ingress.proxyProtocol
      ? 'take away the empty smtpd_upstream_proxy_protocol'
      : 'set proxyProtocol to true';
    const remedy = `set trafficPolicy to Local, or ${proxy}, or take it out of mynetworks`;
    const problem = (severity: FleetProblem['severity'], text: string): void => {
      const key = `${place} ${severity} ${relay.pattern}`;
      if (!found.has(key)) found.set(key, { severity, field: place, text });
    };
    if (relay.verdict === 'unknown')
      problem(
        'warning',
        `${relay.pattern} cannot be compared with the addresses of nodes and pods, and ${why}: ${remedy}`,
      );
    else if (clusterNetworks === undefined)
      problem(
        'warning',
        `${relay.pattern} may hold nodes or pods, and ${why}: the whole Internet could relay; ${remedy}`,
      );
    else
      problem(
        'error',
        `open relay: ${relay.pattern} holds ${relay.network} of the cluster, and ${why}: the whole Internet could relay; ${remedy}`,
      );
  }
  return [...found.values()];
}

/** Does smtpd with these settings let clients in mynetworks relay? */
function permitsMynetworks(settings: Configuration, tables: NonNullable<MailServerSpec['tables']>): boolean {
  const classes = new Set(settings.list('smtpd_restriction_classes'));
  const followed = new Set<string>();
  const permits = (words: readonly string[]): boolean =>
    words.some((word) => {
      if ((classes.has(word) ? word.toLowerCase() : restrictionName(word)) === 'permit_mynetworks') return true;
      // Words of warn_if_reject may stand in one pair of braces.
      if (/[\s,]/.test(word) && !word.includes(':')) return permits(restrictionWords(word));
      if (word.includes(':')) return permits(answers(word, settings.directory, tables));
      if (!classes.has(word) || followed.has(word) || !settings.set(word)) return false;
      followed.add(word);
      return permits(restrictionWords(settings.text(word)));
    });
  return RELAY_PARAMETERS.some((name) => permits(restrictionWords(settings.text(name))));
}

/** Words that an access table may answer with, and smtpd would read as restrictions, as far as the resource holds them. */
function answers(table: string, directory: string, tables: NonNullable<MailServerSpec['tables']>): string[] {
  const sources = tablesIn(table, directory).files.flatMap(({ name }) => tables[name]?.inline ?? []);
  return [table, ...sources]
    .flatMap((source) => source.split('\n').filter((line) => !line.startsWith('#')))
    .flatMap((line) => line.split(/[\s,{}=:]+/));
}

/**
 * The spec with loopback alone in mynetworks, also of single services: for one that was good and of which nodes that joined
 * have made an open relay. `spec` is what a check has taken before.
 */
export function trustingLoopback(spec: unknown): unknown {
  const { mainCf, masterCf, ...rest } = spec as Partial<MailServerSpec>;
  return {
    ...rest,
    mainCf: { ...mainCf, mynetworks: LOOPBACK },
    ...(masterCf === undefined ? {} : { masterCf: masterCf.map(entryTrustingLoopback) }),
  };
}

function entryTrustingLoopback({ options, args, ...entry }: MasterCfEntry): MasterCfEntry {
  const { mynetworks: _networks, ...others } = options ?? {};
  // Arguments follow the options, and the last -o counts.
  const further = args?.some((argument) => argument.includes('mynetworks')) ? ['-o', `mynetworks=${LOOPBACK}`] : [];
  return {
    ...entry,
    ...(options === undefined ? {} : { options: others }),
    ...(args === undefined ? {} : { args: [...args, ...further] }),
  };
}
