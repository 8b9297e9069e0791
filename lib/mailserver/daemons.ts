/**
 * What the operator has to know of each daemon that a fleet can run: whether it listens for clients or answers calls, how it
 * is spread and how it ends. Pure. A test compares the names with the services that the program has.
 */
export interface Daemon {
  /** inet: listens for clients; calls: answers other services; queue: works a queue by itself. */
  readonly kind: 'inet' | 'calls' | 'queue';
  /** Writes mailboxes: it gets the mail storage. */
  readonly writesMailboxes?: true;
  /** How many replicas make sense; one where its state is in memory and not shared. */
  readonly maximumReplicas?: 1;
  /** Seconds for sessions, deliveries or handing over, after the pod was told to end. */
  readonly graceSeconds: number;
}

const calls = { kind: 'calls', graceSeconds: 30 } as const;
const agent = { kind: 'calls', graceSeconds: 60 } as const;

export const DAEMONS: ReadonlyMap<string, Daemon> = new Map<string, Daemon>([
  ['anvil', { ...calls, maximumReplicas: 1 }],
  ['bounce', calls],
  ['cleanup', calls],
  ['discard', agent],
  ['error', agent],
  ['flush', calls],
  ['lmtp', agent],
  ['local', { ...agent, writesMailboxes: true }],
  ['pickup', { kind: 'queue', graceSeconds: 30 }],
  ['pipe', agent],
  ['proxymap', calls],
  ['qmgr', { kind: 'queue', graceSeconds: 30 }],
  ['showq', calls],
  ['smtp', agent],
  ['smtpd', { kind: 'inet', graceSeconds: 60 }],
  ['trivial-rewrite', calls],
  ['virtual', { ...agent, writesMailboxes: true }],
]);

/** Daemons of Postfix that have nothing to do here; entries for them are accepted, and why. See docs/master-cf.md. */
export const NEEDLESS_DAEMONS: ReadonlyMap<string, string> = new Map([
  ['tlsmgr', 'TLS session state is kept by each service'],
  ['scache', 'connections are cached by each delivery agent'],
  ['postlogd', 'log lines go to standard output'],
]);
