/**
 * The whole way of a message on a real cluster, by plain manifests: SMTP in at a Service, a sink out, and one pod of every
 * kind deleted while mail flows. What the client saw answered with 250 must reach the sink.
 *
 * `make cluster-thin` runs it; without a cluster it fails, for it is not part of `make test`. POSTFLEET_THIN_RATE sets the
 * messages per second.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { Kubectl, until } from './kubectl.ts';
import { withTroubles } from './troubles.ts';
import { freeVolumes } from './volumes.ts';

const NAMESPACE = 'postfleet-thin';
const RATE = Number(process.env.POSTFLEET_THIN_RATE ?? 50);
const SESSIONS = 10;

/** Services, how many replicas they have, and the entries of master.cf that they answer for. */
const SERVICES = [
  { service: 'trivial-rewrite', replicas: 2, entries: ['rewrite'] },
  { service: 'bounce', replicas: 2, entries: ['bounce', 'defer', 'trace'] },
  { service: 'cleanup', replicas: 2, entries: ['cleanup'] },
  { service: 'smtp', replicas: 2, entries: ['smtp', 'relay'] },
  { service: 'error', replicas: 1, entries: ['error', 'retry'] },
  { service: 'qmgr', replicas: 2, entries: ['qmgr'] },
  { service: 'showq', replicas: 1, entries: ['showq'] },
  { service: 'smtpd', replicas: 2, entries: [] },
] as const;

/** What is deleted, in this order: labels of the pods, and what must be ready again before the next. */
const KILLS = [
  ...SERVICES.map(({ service }) => ({ selector: `app=postfleet,service=${service}`, object: `deployment/${service}` })),
  { selector: 'app=nats', object: 'statefulset/nats' },
  { selector: 'app=postgres', object: 'statefulset/postgres' },
];

const kubectl = new Kubectl(NAMESPACE);

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

async function removeNamespace(): Promise<void> {
  await kubectl.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout', '120s']);
}

async function deployStores(): Promise<void> {
  const password = randomBytes(16).toString('hex');
  await kubectl.run([
    'create',
    'secret',
    'generic',
    'stores',
    `--from-literal=password=${password}`,
    `--from-literal=postgres-url=postgres://postgres:${password}@postgres-0.postgres.${NAMESPACE}.svc.cluster.local/postfleet`,
    `--from-literal=rpc-token=${randomBytes(32).toString('hex')}`,
  ]);
  await kubectl.apply('stores.yaml');
  await Promise.all(['statefulset/nats', 'statefulset/postgres'].map((object) => kubectl.ready(object)));
}

async function deployServices(): Promise<void> {
  await kubectl.apply('configuration.yaml', { namespace: NAMESPACE });
  await kubectl.apply('sink.yaml');
  await kubectl.apply('smtp.yaml');
  await kubectl.apply('migrate.yaml');
  await kubectl.run(['wait', '--for=condition=Complete', 'job/migrate', '--timeout=120s']);
  for (const { service, replicas, entries } of SERVICES) {
    for (const entry of entries) await kubectl.apply('rpc.yaml', { entry, service });
    await kubectl.apply('service.yaml', { service, replicas });
  }
  await Promise.all(
    ['sink', ...SERVICES.map(({ service }) => service)].map((name) => kubectl.ready(`deployment/${name}`)),
  );
}

interface Counts {
  /** What the ids of its messages begin with. */
  readonly run: string;
  readonly accepted: number;
  readonly refused: number;
  readonly unknown: number;
  readonly reasons: Readonly<Record<string, number>>;
}

/** What the load pod has seen; with "/stop", when it has ended. Waits for the pod to answer. */
async function counts(path: '/counts' | '/stop' = '/counts'): Promise<Counts> {
  await kubectl.run(['wait', '--for=condition=Ready', 'pod/load', '--timeout=60s']);
  return JSON.parse(await kubectl.get('load', path)) as Counts;
}

before(async () => {
  await removeNamespace();
  await freeVolumes();
  await kubectl.run(['create', 'namespace', NAMESPACE]);
  await deployStores();
  await deployServices();
});

after(async () => {
  if (process.env.POSTFLEET_THIN_KEEP === undefined) await removeNamespace();
});

/** Sends mail, deletes a pod of every kind, and checks that what was answered with 250 arrived. */
async function deleteOneOfEach(t: TestContext, how: readonly string[]): Promise<void> {
  await kubectl.apply('load.yaml', { sessions: SESSIONS, rate: RATE });
  const { run } = await counts();
  const arrived = async () => lines(await kubectl.get('sink', '/ids')).filter((id) => id.startsWith(run));
  await until('the first messages', 60, async () => (await arrived()).length > RATE);

  for (const { selector, object } of KILLS) {
    const [pod, ...others] = await kubectl.pods(selector);
    assert.ok(pod, `no pod has the labels ${selector}`);
    const start = performance.now();
    await kubectl.run(['delete', 'pod', pod.name, '--wait=false', ...how]);
    // Mail must flow again before the next pod goes: each deletion is seen by messages of its own.
    const before = (await arrived()).length;
    await until(`mail after the deletion of ${pod.name}`, 90, async () => (await arrived()).length > before + RATE);
    t.diagnostic(`${pod.name}: mail flows after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await until(`a pod in the place of ${pod.name}`, 90, async () => {
      const pods = await kubectl.pods(selector);
      return pods.length > others.length && pods.every(({ uid }) => uid !== pod.uid);
    });
    await kubectl.ready(object);
  }

  const { accepted, refused, unknown, reasons } = await counts('/stop');
  const kept = lines(await kubectl.get('load', '/accepted'));
  await kubectl.run(['delete', 'pod', 'load', '--now']);
  let delivered: string[] = [];
  let missing: string[] = [];
  await until('the rest of the mail', 120, async () => {
    delivered = await arrived();
    const seen = new Set(delivered);
    missing = kept.filter((id) => !seen.has(id));
    return missing.length === 0;
  }).catch(() => undefined);

  const duplicates = delivered.length - new Set(delivered).size;
  t.diagnostic(
    `accepted ${accepted} refused ${refused} unknown ${unknown} delivered ${delivered.length} lost ${missing.length} ` +
      `duplicates ${duplicates} deletions ${KILLS.length}`,
  );
  for (const [reason, times] of Object.entries(reasons)) t.diagnostic(`${times} times: ${reason}`);
  assert.deepEqual(missing, []);
  assert.ok(accepted > RATE * KILLS.length, 'too little mail to have met every deletion');
}

test('mail answered with 250 arrives while one pod of each kind is told to end', (t) =>
  withTroubles(t, kubectl, () => deleteOneOfEach(t, [])));

test('mail answered with 250 arrives while one pod of each kind is killed', (t) =>
  withTroubles(t, kubectl, () => deleteOneOfEach(t, ['--force', '--grace-period=0'])));
