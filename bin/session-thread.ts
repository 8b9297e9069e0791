/**
 * A session thread of the embedded shape: smtpd with a cleanup and a trivial-rewrite of its own. Calls of other services
 * go through the port to the main thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { portClients } from '../lib/clients/port.ts';
import { Configuration } from '../lib/config/settings.ts';
import { ServiceHost } from '../lib/server/host.ts';
import { openTracing } from '../lib/server/open-tracing.ts';
import { flushLog } from '../lib/util/log.ts';
import type { ThreadAnswer, ThreadData, ThreadRequest } from '../services/master/session-threads.ts';
import { SERVICES } from './services.ts';

const main = parentPort!;
const data = workerData as ThreadData;
const tell = (answer: ThreadAnswer): void => main.postMessage(answer);

async function run(): Promise<void> {
  const configuration = Configuration.load(data.configDirectory, { environment: data.parameters });
  const host = new ServiceHost({
    configuration,
    remote: portClients(data.port),
    tracing: await openTracing('postfleet'),
    reusePort: data.reusePort,
  });
  for (const entry of configuration.master) {
    if (!data.services.includes(`${entry.name}/${entry.type}`) || entry.command === 'smtpd') continue;
    await host.start(entry, await SERVICES.get(entry.command)!());
  }
  for (const entry of configuration.master) {
    if (entry.command !== 'smtpd' || entry.type !== 'inet') continue;
    await host.start(entry, await SERVICES.get('smtpd')!());
  }
  main.on('message', (request: ThreadRequest) => {
    const answers = {
      metrics: () => host.metrics.registry.getMetricsAsJSON(),
      'not-ready': () => host.notReady(),
      drain: async () => {
        await host[Symbol.asyncDispose]();
        flushLog();
      },
    };
    answers[request.kind]().then(
      (value: unknown) => tell({ kind: 'answer', value }),
      (error: unknown) => tell({ kind: 'answer', value: [String(error)] }),
    );
  });
  tell({ kind: 'started' });
}

run().catch((error: unknown) => {
  flushLog();
  tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
});
