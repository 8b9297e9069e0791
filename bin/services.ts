/**
 * The daemons that this program has, by their names in the last column of master.cf. Nothing else loads a service; each is
 * loaded when it is first started.
 */
import type { ServiceDefinition } from '../lib/server/service.ts';
import type { ServiceTable } from '../services/master/shape.ts';

export const SERVICES: ServiceTable = new Map<string, () => Promise<ServiceDefinition>>([
  ['anvil', async () => (await import('../services/anvil/main.ts')).service],
  ['bounce', async () => (await import('../services/bounce/main.ts')).service],
  ['cleanup', async () => (await import('../services/cleanup/main.ts')).service],
  ['discard', async () => (await import('../services/discard/main.ts')).service],
  ['error', async () => (await import('../services/error/main.ts')).service],
  ['flush', async () => (await import('../services/flush/main.ts')).service],
  ['lmtp', async () => (await import('../services/smtp/main.ts')).lmtp],
  ['local', async () => (await import('../services/local/main.ts')).service],
  ['pickup', async () => (await import('../services/pickup/main.ts')).service],
  ['pipe', async () => (await import('../services/pipe/main.ts')).service],
  ['proxymap', async () => (await import('../services/proxymap/main.ts')).service],
  ['qmgr', async () => (await import('../services/qmgr/main.ts')).service],
  ['showq', async () => (await import('../services/showq/main.ts')).service],
  ['smtp', async () => (await import('../services/smtp/main.ts')).service],
  ['smtpd', async () => (await import('../services/smtpd/main.ts')).service],
  ['trivial-rewrite', async () => (await import('../services/trivial-rewrite/main.ts')).service],
  ['virtual', async () => (await import('../services/virtual/main.ts')).service],
]);
