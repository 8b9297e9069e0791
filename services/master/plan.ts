/**
 * Which entries of master.cf run where. Pure.
 *
 * In one process, SMTP sessions are held by threads of their own: each has smtpd, cleanup and trivial-rewrite, so that a
 * message crosses no thread until it is in the log. Everything else runs in the main thread.
 */
import type { MasterEntry } from '../../lib/config/master-cf.ts';
import type { Configuration } from '../../lib/config/settings.ts';

/** Daemons of Postfix whose work is done elsewhere here, and where: their entries are accepted. */
export const NEEDLESS: ReadonlyMap<string, string> = new Map([
  ['tlsmgr', 'TLS session state is kept by each service'],
  ['scache', 'connections are cached by each delivery agent'],
  ['postlogd', 'log lines go to standard output'],
]);

export interface Plan {
  /** In the order in which they are started: who is called before who calls. */
  readonly main: readonly MasterEntry[];
  readonly threads: readonly MasterEntry[];
  readonly warnings: readonly string[];
}

const THREAD_SERVICES = new Set(['cleanup', 'trivial-rewrite']);
/** Services that take mail in, last to start and first to stop. */
const INGRESS = new Set(['smtpd', 'pickup']);
const QUEUE = new Set(['qmgr']);

const rank = (entry: MasterEntry): number => (INGRESS.has(entry.command) ? 2 : QUEUE.has(entry.command) ? 1 : 0);

export function plan(
  configuration: Pick<Configuration, 'master' | 'text'>,
  known: ReadonlySet<string>,
  withThreads: boolean,
): Plan {
  const warnings: string[] = [];
  // Tables are written by whoever changes them: the other proxymap, for writers, would have nothing to do.
  const proxywrite = configuration.text('proxywrite_service_name');
  const usable = configuration.master.filter(({ command, name, line }) => {
    if (command === 'proxymap' && name === proxywrite) return false;
    if (known.has(command)) return true;
    if (!NEEDLESS.has(command))
      warnings.push(`master.cf, line ${line}: service ${name}: there is no daemon "${command}"; the entry is left out`);
    return false;
  });
  const ordered = [...usable].sort((a, b) => rank(a) - rank(b));
  const sessions = (entry: MasterEntry): boolean => withThreads && entry.type === 'inet' && entry.command === 'smtpd';
  return {
    main: ordered.filter((entry) => !sessions(entry)),
    threads: withThreads ? ordered.filter((entry) => sessions(entry) || THREAD_SERVICES.has(entry.command)) : [],
    warnings,
  };
}
