import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { customResourceDefinition } from '../../lib/mailserver/crd.ts';
import type { MailServerStatus } from '../../lib/mailserver/status.ts';
import { createLog, type LogLevel } from '../../lib/util/log.ts';
import { type ApiServer, apiServerPrograms, startApiServer } from '../../test/support/api-server.ts';
import { type NatsServer, startNats } from '../../test/support/nats.ts';
import { createDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import type { OperatorContext } from '../context.ts';
import { runOperator } from '../main.ts';
import { ApiClient, ApiError } from '../runtime/api-client.ts';
import { collectionPath, KINDS, type Kind, type KubeObject } from '../runtime/kinds.ts';

const skip = apiServerPrograms === undefined ? 'there is no API server: run "make cluster" once' : false;
const NAMESPACE = 'default';

let server: ApiServer;
let nats: NatsServer;
let database: TestDatabase;
let admin: ApiClient;

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 30): Promise<T> {
  for (const deadline = Date.now() + seconds * 1000; ; await delay(100)) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
  }
}

before(async () => {
  if (skip !== false) return;
  [server, nats, database] = await Promise.all([startApiServer(['operator']), startNats(), createDatabase()]);
  admin = new ApiClient(server.kubeConfig());
  const crd = customResourceDefinition() as never;
  await admin.request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    body: crd,
    contentType: 'application/json',
  });
  await until('the CRD', () =>
    admin.request('GET', collectionPath(KINDS.mailServer, NAMESPACE)).catch(() => undefined),
  );
});

after(async () => {
  admin?.close();
  await server?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
  await database?.[Symbol.asyncDispose]();
});

test('a MailServer becomes a fleet', { skip, timeout: 120_000 }, async () => {
  const lines: string[] = [];
  const log = createLog({ program: 'operator', format: 'postfix', write: (text) => void lines.push(text) });
  const stop = new AbortController();
  let context: OperatorContext | undefined;
  const running = runOperator({
    settings: {
      namespace: NAMESPACE,
      identity: 'a',
      watchNamespaces: [NAMESPACE],
      image: 'postfleet:test',
      imagePullPolicy: 'IfNotPresent',
      clusterDomain: 'cluster.local',
      clusterNetworks: [],
      listen: '127.0.0.1:0',
      leaderElection: true,
      resyncMs: 1000,
      logFormat: 'postfix',
    },
    kubeConfig: server.kubeConfig(),
    stop: stop.signal,
    log,
    started: (operator) => (context = operator.context),
  });
  await admin.request('POST', collectionPath(KINDS.mailServer, NAMESPACE), {
    contentType: 'application/json',
    body: {
      ...KINDS.mailServer,
      metadata: { name: 'mail' },
      spec: {
        mainCf: { myhostname: 'mail.example.test', mydestination: '' },
        nats: { url: nats.url, monitorUrl: nats.monitorUrl },
        postgres: { url: database.url },
      },
    },
  });
  try {
    const job = await until(
      'the migration',
      async () => (await admin.request<{ items: KubeObject[] }>('GET', collectionPath(KINDS.job, NAMESPACE))).items[0],
    );
    await admin.request('PATCH', `${collectionPath(KINDS.job, NAMESPACE)}/${job.metadata.name}/status`, {
      contentType: 'application/merge-patch+json',
      body: { status: { succeeded: 1 } },
    });
    await until(
      '19 deployments',
      async () =>
        (await admin.request<{ items: KubeObject[] }>('GET', collectionPath(KINDS.deployment, NAMESPACE))).items
          .length === 19,
    );
    await delay(3000);
    const writes = context!.client.writes;
    await delay(3000);
    console.log(lines.join(''), writes, context!.client.writes);
    const ms = await admin.request<KubeObject>('GET', `${collectionPath(KINDS.mailServer, NAMESPACE)}/mail`);
    console.log(JSON.stringify(ms.status, null, 1));
  } catch (error) {
    console.log(lines.join(''));
    const ms = await admin.request<KubeObject>('GET', `${collectionPath(KINDS.mailServer, NAMESPACE)}/mail`);
    console.log(JSON.stringify(ms.status, null, 1));
    throw error;
  }
  stop.abort();
  await running;
});
