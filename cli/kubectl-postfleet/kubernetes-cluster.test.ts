import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from './cluster.ts';
import { openCluster, podView } from './kubernetes-cluster.ts';

type Answers = Readonly<Record<string, { readonly status?: number; readonly body: unknown }>>;

interface Api extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly requests: string[];
}

/** A cluster whose API server answers paths as given, and a kubeconfig that leads there. */
async function api(answers: Answers, namespace?: string): Promise<Api> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url!);
    const { status = 200, body } = answers[request.url!.split('?')[0]!] ?? {
      status: 404,
      body: { message: 'not found' },
    };
    response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  const kubeconfig = join(directory, 'config');
  const { port } = server.address() as AddressInfo;
  const contexts = [
    { name: 'one', context: { cluster: 'c', user: 'u', namespace: 'of-the-context' } },
    { name: 'two', context: { cluster: 'c', user: 'u' } },
  ];
  await writeFile(
    kubeconfig,
    JSON.stringify({
      'current-context': 'one',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: 'x' } }],
      contexts,
    }),
  );
  return {
    cluster: openCluster({ kubeconfig, context: undefined, namespace, mailServer: undefined }),
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await rm(directory, { recursive: true });
    },
  };
}

const OF_CONTEXT = '/apis/postfleet.dev/v1alpha1/namespaces/of-the-context/mailservers';

test('MailServers are those of the namespace of the context, unless another is named', async () => {
  const list = { items: [{ metadata: { name: 'mail', namespace: 'of-the-context' }, spec: {} }] };
  await using first = await api({ [OF_CONTEXT]: { body: list } });
  assert.deepEqual(await first.cluster.mailServers(), list.items);
  const other = OF_CONTEXT.replace('of-the-context', 'other');
  await using second = await api({ [other]: { body: { items: [] } } }, 'other');
  assert.deepEqual(await second.cluster.mailServers(), []);
});

test('what the API server refuses is one line in its own words', async () => {
  const message = 'mailservers.postfleet.dev is forbidden: User "x" cannot list resource';
  await using refused = await api({ [OF_CONTEXT]: { status: 403, body: { kind: 'Status', message } } });
  await assert.rejects(refused.cluster.mailServers(), {
    name: 'FatalError',
    message: `mailservers: ${message}`,
    exitCode: 69,
  });
});

test('an API server that does not answer is one line', async () => {
  const gone = await api({});
  await gone[Symbol.asyncDispose]();
  await assert.rejects(gone.cluster.pods('mail'), { name: 'FatalError', exitCode: 69 });
});

test('pods are those with the label of the MailServer', async () => {
  const pod = {
    metadata: {
      name: 'mail-smtpd-1',
      uid: 'u',
      labels: { 'app.kubernetes.io/component': 'smtpd' },
      creationTimestamp: '2026-11-22T11:00:00Z',
    },
    spec: { nodeName: 'node1', containers: [] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ restartCount: 2 }],
    },
  };
  await using one = await api({
    '/api/v1/namespaces/of-the-context/pods': { body: { kind: 'PodList', items: [pod] } },
  });
  assert.deepEqual(await one.cluster.pods('mail'), [
    {
      name: 'mail-smtpd-1',
      uid: 'u',
      component: 'smtpd',
      phase: 'Running',
      ready: true,
      restarts: 2,
      node: 'node1',
      created: '2026-11-22T11:00:00.000Z',
    },
  ]);
  assert.match(one.requests[0]!, /labelSelector=postfleet\.dev%2Fmailserver%3Dmail/);
});

test('a pod that is about to end is not ready, whatever its condition says', () => {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] };
  const { ready, phase } = podView({ metadata: { name: 'p', deletionTimestamp: new Date(0) }, status });
  assert.deepEqual({ ready, phase }, { ready: false, phase: 'Terminating' });
});

test('events are those about the MailServer and its children, oldest first', async () => {
  const event = (name: string, lastTimestamp: string) => ({
    involvedObject: { kind: 'Pod', name },
    metadata: {},
    lastTimestamp,
    type: 'Warning',
    reason: 'BackOff',
    message: 'm',
  });
  const items = [
    event('mail-smtpd-1', '2026-11-22T11:02:00Z'),
    event('mailman', '2026-11-22T11:01:00Z'),
    event('mail', '2026-11-22T11:00:00Z'),
  ];
  await using one = await api({ '/api/v1/namespaces/of-the-context/events': { body: { kind: 'EventList', items } } });
  const events = await one.cluster.events('mail');
  assert.deepEqual(
    events.map(({ object, time, count }) => [object, time, count]),
    [
      ['Pod/mail', '2026-11-22T11:00:00.000Z', 1],
      ['Pod/mail-smtpd-1', '2026-11-22T11:02:00.000Z', 1],
    ],
  );
});

test('a context that is not there, and a kubeconfig that cannot be read, are said', async () => {
  assert.throws(
    () => openCluster({ kubeconfig: '/nonexistent', context: undefined, namespace: undefined, mailServer: undefined }),
    /kubeconfig: .*nonexistent/,
  );
});
