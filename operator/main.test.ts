import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { createLog } from '../lib/util/log.ts';
import { runOperator } from './main.ts';
import { KINDS, plural } from './runtime/kinds.ts';
import type { OperatorSettings } from './settings.ts';

const MAIL_SERVER = {
  ...KINDS.mailServer,
  metadata: { name: 'mail', namespace: 'post', uid: 'u', generation: 1, resourceVersion: '1' },
  spec: {
    mainCf: { myhostname: 'mail.example.test', mydestination: '' },
    nats: { url: 'nats://127.0.0.1:1' },
    postgres: { url: 'postgres://127.0.0.1:1/x' },
  },
};

interface ApiServer {
  readonly kubeConfig: KubeConfig;
  /** Resolves with the first request that changes something. */
  readonly firstWrite: Promise<string>;
}

/** An API server with one MailServer; `list` says with which status it answers the list of a collection. */
async function apiServer(context: TestContext, list: (collection: string) => number): Promise<ApiServer> {
  const firstWrite = Promise.withResolvers<string>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(request.url!, 'http://x');
    const collection = pathname.split('/').at(-1)!;
    const send = (status: number, body: object): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.method !== 'GET') {
      firstWrite.resolve(`${request.method} ${pathname}`);
      send(200, MAIL_SERVER);
    } else if (searchParams.has('watch')) {
      response.writeHead(200).flushHeaders();
    } else {
      const items = collection === plural(KINDS.mailServer.kind) ? [MAIL_SERVER] : [];
      send(list(collection), { metadata: { resourceVersion: '1' }, items });
    }
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const kubeConfig = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  kubeConfig.loadFromClusterAndUser(
    { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'test' },
  );
  return { kubeConfig, firstWrite: firstWrite.promise };
}

const SETTINGS: OperatorSettings = {
  namespace: 'post',
  identity: 'test',
  watchNamespaces: ['post'],
  image: 'postfleet:test',
  imagePullPolicy: 'IfNotPresent',
  clusterDomain: 'cluster.local',
  clusterNetworks: [],
  listen: '127.0.0.1:0',
  leaderElection: false,
  resyncMs: 60_000,
  logFormat: 'postfix',
};

function run(context: TestContext, { kubeConfig }: ApiServer): { end(): Promise<boolean>; log: () => string } {
  const stop = new AbortController();
  context.after(() => stop.abort());
  const lines: string[] = [];
  const log = createLog({ program: 'test', format: 'postfix', write: (line) => void lines.push(line) });
  const running = runOperator({ settings: SETTINGS, kubeConfig, stop: stop.signal, log });
  return {
    log: () => lines.join(''),
    end() {
      stop.abort();
      return running;
    },
  };
}

for (const late of ['nodes', 'deployments', 'mailservers', 'secrets']) {
  test(`nothing is changed before the list of ${late} has been read, which is tried again`, async (context) => {
    const lists: string[] = [];
    let failures = 2;
    const server = await apiServer(context, (collection) => {
      if (collection === late && failures > 0) {
        failures -= 1;
        return 500;
      }
      lists.push(collection);
      return 200;
    });
    const operator = run(context, server);
    assert.match(await server.firstWrite, /^PATCH .*\/mailservers\/mail/);
    assert.ok(lists.includes(late), `read: ${lists.join(' ')}`);
    assert.match(operator.log(), new RegExp(`cannot follow .*/${late}: `));
    assert.equal(await operator.end(), true);
  });
}

test('an operator that may not see nodes works without them', async (context) => {
  const server = await apiServer(context, (collection) => (collection === 'nodes' ? 403 : 200));
  const operator = run(context, server);
  await server.firstWrite;
  assert.doesNotMatch(operator.log(), /cannot follow/);
  assert.equal(await operator.end(), true);
});

test('an operator that is told to end while it waits for a list ends', async (context) => {
  const asked = Promise.withResolvers<void>();
  const server = await apiServer(context, (collection) => {
    if (collection !== 'deployments') return 200;
    asked.resolve();
    return 500;
  });
  const operator = run(context, server);
  await asked.promise;
  assert.equal(await operator.end(), true);
});
