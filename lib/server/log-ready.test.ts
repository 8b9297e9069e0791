import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mock, test } from 'node:test';
import { Configuration } from '../config/settings.ts';
import { LogReadiness } from './log-ready.ts';
import type { Nats } from './stores.ts';

test('a monitoring port that does not answer keeps no probe waiting', async (t) => {
  const asked = Promise.withResolvers<void>();
  const monitor = createServer(() => asked.resolve()).listen(0, '127.0.0.1');
  await once(monitor, 'listening');
  t.after(() => {
    monitor.closeAllConnections();
    monitor.close();
  });
  const url = `http://127.0.0.1:${(monitor.address() as AddressInfo).port}`;
  const configuration = Configuration.fromText(`postfleet_nats_monitor_url = ${url}\n`);
  const nats = { manager: { streams: { info: async () => ({}) } } } as unknown as Nats;
  const readiness = new LogReadiness(nats, configuration);
  const later = performance.now() + 60_000;
  mock.method(performance, 'now', () => later);
  t.after(() => mock.restoreAll());
  const begun = Date.now();
  assert.equal(await readiness.isReady(), true);
  assert.ok(Date.now() - begun < 1000, 'the probe waited for the monitoring port');
  await asked.promise;
});
