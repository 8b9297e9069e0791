/**
 * The settings of the operator, from environment variables (docs/kubernetes.md). Throws FatalError for a value that is wrong,
 * with its name.
 */
import { parseBoolean, parseSeconds } from '../lib/config/values.ts';
import { FatalError } from '../lib/util/errors.ts';

export interface OperatorSettings {
  /** The operator's own namespace. */
  readonly namespace: string;
  readonly identity: string;
  /** Namespaces whose MailServers it cares for; undefined for all. */
  readonly watchNamespaces: readonly string[] | undefined;
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly clusterDomain: string;
  readonly clusterNetworks: readonly string[];
  /** host:port of health and metrics. */
  readonly listen: string;
  readonly leaderElection: boolean;
  readonly resyncMs: number;
  readonly logFormat: 'postfix' | 'json';
}

const PREFIX = 'POSTFLEET_OPERATOR_';
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

export function operatorSettings(
  environment: NodeJS.ProcessEnv,
  defaults: { readonly version: string; readonly hostname: string },
): OperatorSettings {
  const text = (name: string, otherwise: string): string => environment[PREFIX + name] || otherwise;
  const wrong = (name: string, expected: string): FatalError =>
    new FatalError(`${PREFIX}${name}=${text(name, '')}: expected ${expected}`);
  const namespace = text('NAMESPACE', '');
  if (namespace === '') throw new FatalError(`${PREFIX}NAMESPACE is not set: expected the operator's own namespace`);
  const watch = text('WATCH_NAMESPACES', namespace);
  const leaderElection = parseBoolean(text('LEADER_ELECTION', 'yes'));
  if (leaderElection === undefined) throw wrong('LEADER_ELECTION', 'yes or no');
  const resync = parseSeconds(text('RESYNC', '30s'), 's');
  if (resync === undefined || resync < 1) throw wrong('RESYNC', 'a time such as 30s');
  const policy = PULL_POLICIES.find((one) => one === text('IMAGE_PULL_POLICY', 'IfNotPresent'));
  if (policy === undefined) throw wrong('IMAGE_PULL_POLICY', PULL_POLICIES.join(', '));
  const format = text('LOG_FORMAT', 'postfix');
  if (format !== 'postfix' && format !== 'json') throw wrong('LOG_FORMAT', 'postfix or json');
  return {
    namespace,
    identity: text('IDENTITY', defaults.hostname),
    watchNamespaces: watch === '*' ? undefined : list(watch),
    image: text('IMAGE', `postfleet:${defaults.version}`),
    imagePullPolicy: policy,
    clusterDomain: text('CLUSTER_DOMAIN', 'cluster.local'),
    clusterNetworks: list(text('CLUSTER_NETWORKS', '')),
    listen: text('LISTEN', '[::]:8080'),
    leaderElection,
    resyncMs: resync * 1000,
    logFormat: format,
  };
}

function list(text: string): string[] {
  return text.split(/[\s,]+/).filter((item) => item !== '');
}
