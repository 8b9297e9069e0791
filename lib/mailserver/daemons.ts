/**
 * What the operator has to know of each daemon that a fleet can run: whether it listens for clients or answers calls, how it
 * is spread and how it ends. Pure. A test compares the names with the services that the program has.
 */
export interface Daemon {
  /** inet: listens for clients; calls: answers other services; queue: works a queue by itself. */
  readonly kind: 'inet' | 'calls' | 'queue';
  /** The kind of calls that it answers, where it answers any. */
  readonly answers?: 'anvil' | 'bounce' | 'cleanup' | 'delivery' | 'proxymap' | 'queue' | 'rewrite';
  /** Writes mailboxes: it gets the mail storage. */
  readonly writesMailboxes?: true;
  /** How many replicas make sense; one where its state is in memory and not shared. */
  readonly maximumReplicas?: 1;
  /** Seconds for sessions, deliveries or handing over, after the pod was told to end. */
  readonly graceSeconds: number;
}

const calls = (answers: NonNullable<Daemon['answers']>): Daemon => ({ kind: 'calls', answers, graceSeconds: 30 });
const agent: Daemon = { kind: 'calls', answers: 'delivery', graceSeconds: 60 };

export const DAEMONS: ReadonlyMap<string, Daemon> = new Map<string, Daemon>([
  ['anvil', { ...calls('anvil'), maximumReplicas: 1 }],
  ['bounce', calls('bounce')],
  ['cleanup', calls('cleanup')],
  ['discard', agent],
  ['error', agent],
  ['flush', calls('queue')],
  ['lmtp', agent],
  ['local', { ...agent, writesMailboxes: true }],
  ['pickup', { kind: 'queue', graceSeconds: 30 }],
  ['pipe', agent],
  ['proxymap', calls('proxymap')],
  ['qmgr', { kind: 'queue', graceSeconds: 30 }],
  ['showq', calls('queue')],
  ['smtp', agent],
  ['smtpd', { kind: 'inet', graceSeconds: 60 }],
  ['trivial-rewrite', calls('rewrite')],
  ['virtual', { ...agent, writesMailboxes: true }],
]);

/** Daemons of Postfix that have nothing to do here; entries for them are accepted, and why. See docs/master-cf.md. */
export const NEEDLESS_DAEMONS: ReadonlyMap<string, string> = new Map([
  ['tlsmgr', 'TLS session state is kept by each service'],
  ['scache', 'connections are cached by each delivery agent'],
  ['postlogd', 'log lines go to standard output'],
]);
