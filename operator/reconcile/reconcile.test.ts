/**
 * The operator against a real API server, NATS and Postgres, with nothing but the rights of its table. Tests follow each
 * other: each begins with the MailServer that the one before has left.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { customResourceDefinition } from '../../lib/mailserver/crd.ts';
import type { MailServerStatus } from '../../lib/mailserver/status.ts';
import { createLog } from '../../lib/util/log.ts';
import { type ApiServer, apiServerPrograms, startApiServer } from '../../test/support/api-server.ts';
import { FakeKubelet } from '../../test/support/fake-kubelet.ts';
import { type NatsServer, startNats } from '../../test/support/nats.ts';
import { createDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import type { OperatorContext } from '../context.ts';
import { runOperator } from '../main.ts';
import { CLUSTER, NAMESPACED, OWN } from '../rbac.ts';
import { ApiClient } from '../runtime/api-client.ts';
import { collectionPath, KINDS, type Kind, type KubeObject, objectPath } from '../runtime/kinds.ts';

const skip = apiServerPrograms === undefined ? 'there is no API server: run "make cluster" once' : false;
const NAMESPACE = 'post';
const PROCESSES = [
  'anvil',
  'bounce',
  'cleanup',
  'error',
  'local',
  'pickup',
  'qmgr',
  'rewrite',
  'showq',
  'smtp',
  'smtpd',
  'virtual',
];
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const JSON_TYPE = 'application/json';

let server: ApiServer;
let nats: NatsServer;
let database: TestDatabase;
let admin: ApiClient;
let kubelet: FakeKubelet;
let operator: Running;
const troubles: string[] = [];

interface Running extends AsyncDisposable {
  readonly context: OperatorContext;
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 40): Promise<T> {
  for (const deadline = Date.now() + seconds * 1000; ; await delay(50)) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline)
      throw new Error(
        `${what}: not within ${seconds} s; status ${JSON.stringify(await status())}; log ${troubles.join('')}`,
      );
  }
}

const get = <T = KubeObject>(kind: Kind, name: string): Promise<(KubeObject & T) | undefined> =>
  admin.get(kind, NAMESPACE, name);
const create = (path: string, body: object): Promise<KubeObject> =>
  admin.request('POST', path, { body, contentType: JSON_TYPE });
const names = async (kind: Kind): Promise<string[]> =>
  (await admin.request<{ items: KubeObject[] }>('GET', collectionPath(kind, NAMESPACE))).items
    .map(({ metadata }) => metadata.name)
    .sort();

const mailServer = () => get<{ spec: object; status?: MailServerStatus }>(KINDS.mailServer, 'mail');
const status = async (): Promise<MailServerStatus | undefined> => (await mailServer())?.status;

async function condition(type: string) {
  const found = await mailServer();
  const one = found?.status?.conditions?.find((each) => each.type === type);
  return one?.observedGeneration === found?.metadata.generation ? one : undefined;
}

const holds = (type: string, wanted = 'True') =>
  until(`${type} ${wanted}`, async () => (await condition(type))?.status === wanted && condition(type));
const change = (spec: object): Promise<KubeObject> => admin.mergePatch(KINDS.mailServer, NAMESPACE, 'mail', { spec });
const annotate = (annotations: object): Promise<KubeObject> =>
  admin.mergePatch(KINDS.mailServer, NAMESPACE, 'mail', { metadata: { annotations } });
const config = async (): Promise<Record<string, string>> =>
  (await get<{ data: Record<string, string> }>(KINDS.configMap, 'mail-config'))!.data;
const templates = async (): Promise<Record<string, string>> => {
  const { items } = await admin.request<{ items: KubeObject[] }>('GET', collectionPath(KINDS.deployment, NAMESPACE));
  return Object.fromEntries(
    items.map(({ metadata }) => [metadata.name, metadata.annotations?.['postfleet.dev/template-hash'] ?? '']),
  );
};

function resource(name: string, spec: object = {}): object {
  return {
    ...KINDS.mailServer,
    metadata: { name, namespace: NAMESPACE },
    spec: {
      mainCf: { myhostname: 'mail.example.test', mydestination: '' },
      nats: { url: nats.url, monitorUrl: nats.monitorUrl },
      postgres: { secretRef: { name: 'database' } },
      replicas: 1,
      ...spec,
    },
  };
}

async function start(identity: string): Promise<Running> {
  const log = createLog({
    program: identity,
    format: 'postfix',
    write: (text) => void troubles.push(text),
  });
  const stop = new AbortController();
  const started = Promise.withResolvers<OperatorContext>();
  const settings = {
    namespace: NAMESPACE,
    identity,
    watchNamespaces: [NAMESPACE],
    image: 'postfleet:test',
    imagePullPolicy: 'IfNotPresent',
    clusterDomain: 'cluster.local',
    clusterNetworks: ['10.244.0.0/16'],
    listen: '127.0.0.1:0',
    leaderElection: true,
    resyncMs: 500,
    logFormat: 'postfix',
  } as const;
  const running = runOperator({
    settings,
    kubeConfig: server.kubeConfig('operator'),
    stop: stop.signal,
    log,
    started: ({ context }) => started.resolve(context),
  });
  return {
    context: await started.promise,
    async [Symbol.asyncDispose]() {
      stop.abort();
      assert.equal(await running, true);
    },
  };
}

/** What the chart makes: the operator may do what its table says, and nothing else. */
async function giveRights(): Promise<void> {
  const subjects = [{ kind: 'User', name: 'operator' }];
  const binding = (kind: string, name: string): object => ({
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects,
  });
  await create(`${RBAC}/namespaces/${NAMESPACE}/roles`, {
    metadata: { name: 'operator' },
    rules: [...NAMESPACED, ...OWN],
  });
  await create(`${RBAC}/namespaces/${NAMESPACE}/rolebindings`, binding('Role', 'operator'));
  await create(`${RBAC}/clusterroles`, { metadata: { name: 'operator' }, rules: CLUSTER });
  await create(`${RBAC}/clusterrolebindings`, binding('ClusterRole', 'operator'));
}

/** Owns the shards, as a qmgr would. */
async function ownShards(owner: string | null): Promise<void> {
  await database.pool.query(
    "insert into shard (shard, owner, lease_until) select s, $1, 'infinity' from generate_series(0, 3) s on conflict (shard) do update set owner = $1",
    [owner],
  );
}

const secret = (url: string): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'database' },
  stringData: { uri: url },
});

describe('the operator', { skip, timeout: 600_000 }, () => {
  before(async () => {
    [server, nats, database] = await Promise.all([startApiServer(['operator']), startNats(), createDatabase()]);
    admin = new ApiClient(server.kubeConfig());
    await create('/api/v1/namespaces', { metadata: { name: NAMESPACE } });
    await create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customResourceDefinition());
    await giveRights();
    await until('the CRD', () =>
      admin.request('GET', collectionPath(KINDS.mailServer, NAMESPACE)).catch(() => undefined),
    );
    kubelet = new FakeKubelet(admin, NAMESPACE);
    operator = await start('first');
  });

  after(async () => {
    await operator?.[Symbol.asyncDispose]();
    await kubelet?.[Symbol.asyncDispose]();
    admin?.close();
    await Promise.all([server, nats, database].map((one) => one?.[Symbol.asyncDispose]()));
  });

  const refused: readonly [situation: string, spec: object, message: RegExp][] = [
    ['no myhostname', { mainCf: {} }, /spec\.mainCf: .*set myhostname/],
    [
      'two addresses of NATS',
      { nats: { url: 'nats://x', secretRef: { name: 'x' } } },
      /spec\.nats: .*give exactly one of url and secretRef/,
    ],
    ['no address of Postgres', { postgres: {} }, /spec\.postgres: .*give exactly one of url and secretRef/],
    [
      'two sources of a table',
      { tables: { t: { inline: 'x', secret: { name: 'x', key: 'y' } } } },
      /spec\.tables\[t\]: .*give exactly one of inline, configMap and secret/,
    ],
    [
      'replicas beside an autoscaler',
      { services: { smtpd: { replicas: 1, autoscaling: { maxReplicas: 2 } } } },
      /spec\.services\[smtpd\]: .*give either replicas or autoscaling/,
    ],
    [
      'an autoscaler from more to less',
      { services: { smtpd: { autoscaling: { minReplicas: 3, maxReplicas: 2 } } } },
      /minReplicas must not be more/,
    ],
    [
      'storage of two kinds',
      { mailStorage: { claimName: 'x', size: '1Gi' } },
      /spec\.mailStorage: .*give exactly one of claimName and size/,
    ],
    [
      'a parameter of the operator',
      { mainCf: { myhostname: 'x', postfleet_rpc_listen: 'y' } },
      /postfleet_rpc_listen is set by the operator/,
    ],
    [
      'a traffic policy that there is not',
      { ingress: { trafficPolicy: 'Global' } },
      /spec\.ingress\.trafficPolicy: Unsupported value/,
    ],
    ['too many replicas', { replicas: 1001 }, /spec\.replicas/],
    [
      'two entries of one name and type',
      {
        masterCf: [
          { service: 'a', type: 'unix', command: 'smtp' },
          { service: 'a', type: 'unix', command: 'smtp' },
        ],
      },
      /spec\.masterCf\[1\]: Duplicate value/,
    ],
  ];
  for (const [situation, spec, message] of refused) {
    test(`the API server refuses a MailServer with ${situation}`, async () => {
      await assert.rejects(create(collectionPath(KINDS.mailServer, NAMESPACE), resource('wrong', spec)), message);
    });
  }

  test('the API server refuses a name that children could not have', async () => {
    await assert.rejects(
      create(collectionPath(KINDS.mailServer, NAMESPACE), resource('m'.repeat(31))),
      /must be a DNS label/,
    );
  });

  test('a MailServer waits for the Secret that it names, and says so', async () => {
    await create(collectionPath(KINDS.mailServer, NAMESPACE), resource('mail'));
    const { message } = await holds('Degraded');
    assert.equal(message, 'spec.postgres.secretRef: there is no Secret "database"');
    assert.deepEqual(await names(KINDS.deployment), []);
  });

  test('it becomes a fleet', async () => {
    await ownShards('test');
    await create(collectionPath(KINDS.secret, NAMESPACE), secret(database.url));
    await holds('Ready');
    assert.deepEqual(
      await names(KINDS.deployment),
      PROCESSES.map((name) => `mail-${name}`),
    );
    const { hostname, durability, queue, services } = (await status())!;
    assert.equal(hostname, 'mail.example.test');
    assert.deepEqual(durability, { log: 'fsync', servers: 1, replicas: 1, postgres: 'asynchronous' });
    assert.equal(queue?.deferred, 0);
    assert.equal(services?.find(({ name }) => name === 'relay')?.deployment, 'mail-smtp');
    const connection = await connect({ servers: nats.url });
    const streams = await (await jetstreamManager(connection)).streams.names().next();
    await connection.close();
    assert.equal(streams.length, 9);
  });

  test('what is as it should be costs no write', async () => {
    await until('rest', async () => {
      const { writes } = operator.context.client;
      await delay(3000);
      return operator.context.client.writes === writes;
    });
    const { writes } = operator.context.client;
    const passes = async (): Promise<number> =>
      (await operator.context.metrics.reconciles.get()).values.reduce((sum, { value }) => sum + value, 0);
    const before = await passes();
    await until('five passes', async () => (await passes()) >= before + 5);
    assert.equal(operator.context.client.writes, writes);
  });

  test('a parameter is in force without another pod', async () => {
    const before = await templates();
    await change({ mainCf: { smtpd_banner: '$myhostname hello' } });
    await until('the parameter', async () => (await config())['main.cf']?.includes('smtpd_banner = $myhostname hello'));
    await holds('Ready');
    assert.deepEqual(await templates(), before);
  });

  test('a wrong main.cf is named with field, file and line, and the one before stays', async () => {
    const before = await config();
    await change({ mainCf: { smtpd_timeout: 'soon' } });
    const { message } = await holds('ConfigValid', 'False');
    assert.match(message, /^spec\.mainCf\.smtpd_timeout: main\.cf, line \d+: smtpd_timeout = soon: /);
    await change({ services: { smtpd: { replicas: 3 } } });
    await holds('ConfigValid', 'False');
    assert.deepEqual(await config(), before);
    assert.equal((await get<{ spec: { replicas: number } }>(KINDS.deployment, 'mail-smtpd'))?.spec.replicas, 1);
    await change({ mainCf: { smtpd_timeout: null }, services: null });
    await holds('Ready');
  });

  test('an open relay is refused', async () => {
    await change({ mainCf: { mynetworks: '10.0.0.0/8' }, ingress: { type: 'NodePort', trafficPolicy: 'Cluster' } });
    const { message } = await holds('ConfigValid', 'False');
    assert.match(message, /open relay: 10\.0\.0\.0\/8 holds 10\.244\.0\.0\/16/);
    await change({ mainCf: { mynetworks: null }, ingress: null });
    await holds('Ready');
  });

  test('what becomes an open relay when a node joins runs on with loopback alone in mynetworks', async () => {
    const node = '198.51.100.7';
    await change({ mainCf: { mynetworks: `${node}/32` }, ingress: { type: 'NodePort', trafficPolicy: 'Cluster' } });
    await until('the network', async () => (await config())['main.cf']?.includes(`mynetworks = ${node}/32`));
    await holds('Ready');
    await create('/api/v1/nodes', { metadata: { name: 'joined' } });
    await admin.request('PATCH', '/api/v1/nodes/joined/status', {
      body: { status: { addresses: [{ type: 'InternalIP', address: node }] } },
      contentType: 'application/merge-patch+json',
    });
    const { message } = await holds('ConfigValid', 'False');
    assert.match(message, /open relay: 198\.51\.100\.7\/32 holds 198\.51\.100\.7/);
    await until('a closed relay', async () => (await config())['main.cf']?.includes('mynetworks = 127.0.0.0/8'));
    await admin.request('DELETE', '/api/v1/nodes/joined');
    await until('the network again', async () => (await config())['main.cf']?.includes(`mynetworks = ${node}/32`));
    await change({ mainCf: { mynetworks: null }, ingress: null });
    await holds('Ready');
  });

  test('another Secret of the stores makes every pod anew', async () => {
    const before = await templates();
    const data = (url: string) => ({ data: { uri: Buffer.from(url).toString('base64') } });
    await admin.mergePatch(KINDS.secret, NAMESPACE, 'database', data(`${database.url}?application_name=other`));
    const changed = async (): Promise<boolean> => {
      const after = await templates();
      return Object.entries(before).every(([name, hash]) => after[name] !== hash);
    };
    await until('other pods', changed);
    await holds('Ready');
    await admin.mergePatch(KINDS.secret, NAMESPACE, 'database', data(database.url));
    await until('the pods as before', async () => JSON.stringify(await templates()) === JSON.stringify(before));
    await holds('Ready');
  });

  test('a changed row of a table is a changed row in Postgres', async () => {
    const before = await templates();
    await change({
      mainCf: { virtual_alias_maps: 'hash:/etc/postfix/virtual' },
      tables: { virtual: { inline: 'Info@example.test ann\nold@example.test bob\n' } },
    });
    const rows = async (): Promise<string> =>
      (
        await database.pool.query<{ key: string; value: string }>(
          "select key, value from lookup_row where table_id = (select id from lookup_table where name = '/etc/postfix/virtual') order by key",
        )
      ).rows
        .map(({ key, value }) => `${key}=${value}`)
        .join(' ');
    await until('the rows', async () => (await rows()) === 'info@example.test=ann old@example.test=bob');
    await change({ tables: { virtual: { inline: 'info@example.test cid\nnovalue\n' } } });
    await until('the change', async () => (await rows()) === 'info@example.test=cid');
    const { message } = await holds('Warning');
    assert.match(message, /^spec\.tables\.virtual: virtual, line 2: expected format: key whitespace value/m);
    assert.deepEqual(await templates(), before);
    await change({ mainCf: { virtual_alias_maps: null }, tables: null });
    await until('the end of the table', async () => (await rows()) === '');
  });

  test('a file table out of a ConfigMap follows it', async () => {
    await create(collectionPath(KINDS.configMap, NAMESPACE), {
      metadata: { name: 'checks' },
      data: { list: '/^x:/ DUNNO' },
    });
    await change({
      mainCf: { header_checks: 'regexp:/etc/postfix/checks' },
      tables: { checks: { format: 'file', configMap: { name: 'checks', key: 'list' } } },
    });
    await until('the file', async () => (await config()).checks === '/^x:/ DUNNO');
    await admin.mergePatch(KINDS.configMap, NAMESPACE, 'checks', { data: { list: '/^y:/ DUNNO' } });
    await until('the change', async () => (await config()).checks === '/^y:/ DUNNO');
    await change({ mainCf: { header_checks: null }, tables: null });
    await holds('Ready');
  });

  test('a service that master.cf has anew gets a Deployment, and the others keep their pods', async () => {
    const before = await templates();
    await change({ masterCf: [{ service: 'amavis', type: 'unix', command: 'smtp', maxproc: '2' }] });
    await until('the Deployment', async () => (await templates())['mail-amavis'] !== undefined);
    await holds('Ready');
    const { 'mail-amavis': _amavis, ...others } = await templates();
    assert.deepEqual(others, before);
    assert.ok(await get(KINDS.service, 'mail-amavis'));
    await change({ masterCf: null });
    await until('its end', async () => (await templates())['mail-amavis'] === undefined);
    assert.deepEqual(
      await names(KINDS.deployment),
      PROCESSES.map((name) => `mail-${name}`),
    );
  });

  test('another image is rolled out one Deployment at a time', async () => {
    const before = await templates();
    kubelet.hold();
    await change({ image: 'postfleet:next' });
    const rolled = async (): Promise<string[]> =>
      Object.entries(await templates()).flatMap(([name, hash]) => (hash === before[name] ? [] : [name]));
    // The migration comes first, and nothing else.
    const jobs = await until('the migration', async () => {
      const found = await names(KINDS.job);
      return found.length === 2 && found;
    });
    await delay(1500);
    assert.deepEqual(await rolled(), []);
    for (const job of jobs)
      await admin.request('PATCH', `${objectPath(KINDS.job, NAMESPACE, job)}/status`, {
        contentType: 'application/merge-patch+json',
        body: { status: { succeeded: 1 } },
      });
    await until('the first Deployment', async () => (await rolled()).length === 1);
    await delay(1500);
    assert.equal((await rolled()).length, 1, JSON.stringify([await rolled(), (await status())?.conditions?.[1]]));
    kubelet.release();
    await until('all of them', async () => (await rolled()).length === PROCESSES.length);
    await holds('Progressing', 'False');
    assert.equal((await names(KINDS.job)).length, 1);
    await change({ image: null });
    await until('the image before', async () => (await rolled()).length === 0);
    await holds('Ready');
  });

  test('a roll-out waits while a shard has no owner', async () => {
    const before = await templates();
    await ownShards(null);
    await holds('QueueHealthy', 'False');
    await annotate({ 'postfleet.dev/restart': '1' });
    await until('qmgr', async () => (await templates())['mail-qmgr'] !== before['mail-qmgr']);
    await delay(1500);
    assert.equal((await templates())['mail-smtpd'], before['mail-smtpd']);
    await ownShards('test');
    await until('smtpd', async () => (await templates())['mail-smtpd'] !== before['mail-smtpd']);
    await holds('Ready');
  });

  test('a changed Secret of a store makes the pods anew', async () => {
    const before = await templates();
    await admin.mergePatch(KINDS.secret, NAMESPACE, 'database', {
      stringData: { uri: `${database.url}?application_name=x` },
    });
    await until('all of them', async () =>
      Object.entries(await templates()).every(([name, hash]) => hash !== before[name]),
    );
    await holds('Ready');
  });

  test('what somebody else changes or deletes is put back', async () => {
    await admin.mergePatch(KINDS.deployment, NAMESPACE, 'mail-smtpd', { spec: { replicas: 7 } });
    await until(
      'the replicas',
      async () => (await get<{ spec: { replicas: number } }>(KINDS.deployment, 'mail-smtpd'))?.spec.replicas === 1,
    );
    await admin.delete(KINDS.service, NAMESPACE, 'mail');
    await until('the Service', () => get(KINDS.service, 'mail'));
    const token = (await get<{ data: Record<string, string> }>(KINDS.secret, 'mail-rpc'))!.data['rpc-token'];
    await admin.mergePatch(KINDS.secret, NAMESPACE, 'mail-rpc', {
      metadata: { labels: { 'postfleet.dev/mailserver': 'stolen' } },
    });
    await until(
      'the label',
      async () => (await get(KINDS.secret, 'mail-rpc'))?.metadata.labels?.['postfleet.dev/mailserver'] === 'mail',
    );
    assert.equal((await get<{ data: Record<string, string> }>(KINDS.secret, 'mail-rpc'))!.data['rpc-token'], token);
  });

  test('a pod template that the API server refuses is told, and its correction goes on', async () => {
    await change({
      services: {
        smtpd: { podTemplate: { spec: { containers: [{ name: 'postfleet', imagePullPolicy: 'Sometimes' }] } } },
      },
    });
    const { reason, message } = await holds('Degraded');
    assert.equal(reason, 'Refused');
    assert.match(
      message,
      /Deployment\.apps "mail-smtpd" is invalid: .*imagePullPolicy: Unsupported value: "Sometimes"/s,
    );
    await change({ services: null });
    await holds('Ready');
  });

  test('a pause keeps the operator from everything, and its end lets it go on', async () => {
    await annotate({ 'postfleet.dev/paused': 'true' });
    await until('the pause', async () => (await condition('Progressing'))?.reason === 'Paused');
    await change({ mainCf: { smtpd_banner: 'paused' } });
    await until('the pause of this generation', async () => (await condition('Progressing'))?.reason === 'Paused');
    assert.doesNotMatch((await config())['main.cf']!, /paused/);
    await annotate({ 'postfleet.dev/paused': null });
    await until('the parameter', async () => (await config())['main.cf']?.includes('paused'));
  });

  test('a flush is done once for each value of its annotation', async () => {
    await annotate({ 'postfleet.dev/flush': 'now' });
    await until('the flush', async () => (await status())?.flushed === 'now');
    const events = await admin.request<{ items: (KubeObject & { reason: string })[] }>(
      'GET',
      collectionPath(KINDS.event, NAMESPACE),
    );
    assert.equal(events.items.filter(({ reason }) => reason === 'Flushed').length, 1);
  });

  test('autoscaling that is turned on keeps the replicas until the autoscaler sets others', async () => {
    const path = objectPath(KINDS.deployment, NAMESPACE, 'mail-smtpd');
    const replicas = async (): Promise<number | undefined> =>
      (await get<{ spec: { replicas?: number } }>(KINDS.deployment, 'mail-smtpd'))?.spec.replicas;
    await change({ services: { smtpd: { replicas: 4 } } });
    await until('four', async () => (await replicas()) === 4);
    await change({ services: { smtpd: { replicas: null, autoscaling: { minReplicas: 3, maxReplicas: 12 } } } });
    await until('the autoscaler', () => get(KINDS.autoscaler, 'mail-smtpd'));
    await holds('Ready');
    assert.equal(await replicas(), 4);
    const scale = { spec: { replicas: 6 } };
    await admin.request('PATCH', `${path}/scale`, {
      query: { fieldManager: 'kube-controller-manager' },
      contentType: 'application/merge-patch+json',
      body: scale,
    });
    const hash = (await templates())['mail-smtpd'];
    await change({ services: { smtpd: { resources: { requests: { cpu: '7m' } } } } });
    await until('another template', async () => (await templates())['mail-smtpd'] !== hash);
    await holds('Ready');
    assert.equal(await replicas(), 6);
    await change({ services: null });
    await until('the end of autoscaling', async () => (await replicas()) === 1);
    await holds('Progressing', 'False');
  });

  test('a second MailServer on the same stores is refused', async () => {
    await create(collectionPath(KINDS.mailServer, NAMESPACE), resource('other'));
    const found = await until('the refusal', async () => {
      const other = await get<{ status?: MailServerStatus }>(KINDS.mailServer, 'other');
      return other?.status?.conditions?.find(({ type, status: state }) => type === 'ConfigValid' && state === 'False');
    });
    assert.match(found.message, /^spec\.nats: the MailServer post\/mail has its queue there/);
    await admin.delete(KINDS.mailServer, NAMESPACE, 'other');
    await until('its end', async () => (await get(KINDS.mailServer, 'other')) === undefined);
  });

  test('an API server that was away is followed again', async () => {
    await server.kill();
    await delay(1000);
    await server.restart();
    await until('the CRD', () => change({ mainCf: { smtpd_banner: 'back' } }).catch(() => undefined));
    await until('the parameter', async () => (await config())['main.cf']?.includes('back'), 90);
  });

  test('a second operator takes over as soon as the first has ended', async () => {
    await using second = await start('second');
    await delay(3000);
    assert.equal((await second.context.metrics.leader.get()).values[0]?.value ?? 0, 0);
    await operator[Symbol.asyncDispose]();
    const began = performance.now();
    await until('the lease', async () => ((await second.context.metrics.leader.get()).values[0]?.value ?? 0) === 1);
    assert.ok(performance.now() - began < 8000);
    await change({ mainCf: { smtpd_banner: 'second' } });
    await until('the parameter', async () => (await config())['main.cf']?.includes('second'));
    await second[Symbol.asyncDispose]();
    operator = await start('third');
  });

  test('deletion with Retain leaves the streams', async () => {
    await admin.delete(KINDS.mailServer, NAMESPACE, 'mail');
    await until('its end', async () => (await mailServer()) === undefined);
    const connection = await connect({ servers: nats.url });
    const streams = await (await jetstreamManager(connection)).streams.names().next();
    await connection.close();
    assert.equal(streams.length, 9);
  });

  test('deletion with Delete ends the pods, then removes streams and tables', async () => {
    // Without a garbage collector the children of the one before are still here, and become those of this one.
    await create(
      collectionPath(KINDS.mailServer, NAMESPACE),
      resource('mail', { deletionPolicy: 'Delete', postgres: { url: database.url } }),
    );
    await holds('Ready');
    await admin.delete(KINDS.mailServer, NAMESPACE, 'mail');
    await until('its end', async () => (await mailServer()) === undefined);
    assert.deepEqual(await names(KINDS.deployment), []);
    const connection = await connect({ servers: nats.url });
    const streams = await (await jetstreamManager(connection)).streams.names().next();
    await connection.close();
    assert.equal(streams.length, 0);
    const tables = await database.pool.query("select tablename from pg_tables where schemaname = 'public'");
    assert.deepEqual(tables.rows, []);
  });

  test('nothing was refused to the operator, and nothing went wrong that nobody expected', () => {
    const remarkable = troubles
      .join('')
      .split('\n')
      .filter((line) => /error:|warning:/.test(line));
    const expected =
      /cannot follow|cannot ask for the lease|could not be renewed|event .*ECONN|ECONNREFUSED|ECONNRESET|socket hang up/;
    assert.deepEqual(
      remarkable.filter((line) => !expected.test(line)),
      [],
    );
  });
});
