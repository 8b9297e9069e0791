/**
 * A session thread of the embedded shape: smtpd with a cleanup and a trivial-rewrite of its own. Calls of other services
 * go through the port to the main thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { portClients } from '../lib/clients/port.ts';
import { Configuration } from '../lib/config/settings.ts';
import { type PreparedReload, ServiceHost, type ServiceToRun } from '../lib/server/host.ts';
import { openTracing } from '../lib/server/open-tracing.ts';
import { flushLog } from '../lib/util/log.ts';
import type { ThreadAnswer, ThreadData, ThreadRequest } from '../services/master/session-threads.ts';
import { SERVICES } from './services.ts';

const main = parentPort!;
const data = workerData as ThreadData;
const tell = (answer: ThreadAnswer): void => main.postMessage(answer);

/** The entries of those names, in the order of the names. */
function servicesOf(configuration: Configuration, names: readonly string[]): Promise<ServiceToRun[]> {
  const entries = names.flatMap(
    (name) => configuration.master.find((entry) => `${entry.name}/${entry.type}` === name) ?? [],
  );
  return Promise.all(entries.map(async (entry) => ({ entry, definition: await SERVICES.get(entry.command)!() })));
}

async function run(): Promise<void> {
  const load = (parameters: ReadonlyMap<string, string>): Configuration =>
    Configuration.load(data.configDirectory, { environment: parameters });
  const configuration = load(data.parameters);
  const host = new ServiceHost({
    configuration,
    remote: portClients(data.port),
    tracing: await openTracing('postfleet'),
    reusePort: data.reusePort,
  });
  host.written.tellThrough(data.written);
  for (const { entry, definition } of await servicesOf(configuration, data.services))
    await host.start(entry, definition);
  let prepared: PreparedReload | undefined;
  const answer = async (request: ThreadRequest): Promise<unknown> => {
    switch (request.kind) {
      case 'metrics':
        return host.metrics.registry.getMetricsAsJSON();
      case 'not-ready':
        return host.notReady();
      case 'prepare': {
        const next = load(request.parameters);
        prepared = await host.prepare(next, await servicesOf(next, request.services));
        return undefined;
      }
      case 'commit':
        prepared?.commit();
        prepared = undefined;
        return undefined;
      case 'take-back':
        await prepared?.[Symbol.asyncDispose]();
        prepared = undefined;
        return undefined;
      case 'drain':
        await host[Symbol.asyncDispose]();
        flushLog();
    }
  };
  main.on('message', (request: ThreadRequest) => {
    const { id } = request;
    answer(request).then(
      (value) => tell({ kind: 'answer', id, value }),
      (error: unknown) =>
        tell({ kind: 'refusal', id, message: error instanceof Error ? error.message : String(error) }),
    );
  });
  tell({ kind: 'started' });
}

run().catch((error: unknown) => {
  flushLog();
  tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
});
