/**
 * smtpd behind a HorizontalPodAutoscaler: more replicas under load, all of which get sessions, and one again when the load is
 * gone, while a few clients go on sending. Pods that end must not lose what they accepted, nor fail a client in a way that trying
 * again does not cure.
 *
 * The autoscaler's behaviour is set so that this takes minutes; the defaults of Kubernetes wait five of them before they scale down.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { until } from './kubectl.ts';
import { assertQuietOperator } from './operator-log.ts';
import { ONLY_RELAYING, OwnNamespace, SERVER } from './own-namespace.ts';
import { step, withTroubles } from './troubles.ts';

const LEAST = 1;
const WANTED = 3;
const MOST = 4;
const SINK_PORT = 2525;
/** Messages per second and sessions of the load, and of the clients that go on all the time. */
const LOAD = { name: 'load', sessions: 16, rate: 40 };
const STEADY = { name: 'steady', sessions: 10, rate: 3 };
/** Shorter than the sessions of the steady clients: some are told to come again. */
const GRACE_SECONDS = 15;
/** Sessions that are counted, of which each pod must have had half of an even share. */
const COUNTED = 200;

const own = new OwnNamespace('postfleet-ingress');
const { kubectl } = own;

/** What a client may meet while a pod ends: it is told to come again, or nobody is there any more. */
const CURABLE = /ECONNREFUSED|ECONNRESET|EPIPE|Connection closed|socket hang up/;

interface Failure {
  readonly times: number;
  readonly reply: number;
  readonly text: string;
}

const isCurable = ({ reply, text }: Failure): boolean => reply === 421 || (reply === 0 && CURABLE.test(text));

function spec() {
  return {
    mainCf: {
      relay_domains: 'example.com',
      transport_maps: `inline:{ { example.com = smtp:[sink.${kubectl.namespace}.svc.cluster.local]:${SINK_PORT} } }`,
    },
    masterCf: ONLY_RELAYING,
    services: {
      smtpd: {
        autoscaling: {
          minReplicas: LEAST,
          maxReplicas: MOST,
          targetCPUUtilizationPercentage: 60,
          behavior: {
            scaleUp: { stabilizationWindowSeconds: 0, policies: [{ type: 'Pods', value: 2, periodSeconds: 15 }] },
            scaleDown: { stabilizationWindowSeconds: 15, policies: [{ type: 'Pods', value: 1, periodSeconds: 15 }] },
          },
        },
        // The autoscaler counts in parts of what is requested.
        resources: { requests: { cpu: '40m', memory: '80Mi' }, limits: { memory: '1Gi' } },
        terminationGracePeriodSeconds: GRACE_SECONDS,
      },
    },
  };
}

/** How many pods of smtpd are ready, and how many there are, with those that are ending. */
async function smtpds(): Promise<{ ready: string[]; all: number }> {
  const { items } = JSON.parse(
    await kubectl.run(['get', 'pods', '--selector', 'postfleet.dev/service=smtpd', '--output', 'json']),
  ) as {
    items: {
      metadata: { name: string; deletionTimestamp?: string };
      status: { conditions?: { type: string; status: string }[] };
    }[];
  };
  const isReady = ({ metadata, status }: (typeof items)[number]): boolean =>
    metadata.deletionTimestamp === undefined &&
    (status.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
  return { ready: items.filter(isReady).map(({ metadata }) => metadata.name), all: items.length };
}

/** Waits until there are so many; says when the number changed on the way. */
async function scaled(t: TestContext, what: string, seconds: number, holds: (ready: number, all: number) => boolean) {
  const start = performance.now();
  const changes: string[] = [];
  let last = '';
  await until(what, seconds, async () => {
    const { ready, all } = await smtpds();
    const seen = `${ready.length} of ${all}`;
    if (seen !== last) changes.push(`${seen} after ${((performance.now() - start) / 1000).toFixed(0)} s`);
    last = seen;
    return holds(ready.length, all);
  }).finally(() => t.diagnostic(`${what}, ready smtpd: ${changes.join(', ')}`));
}

/** Sessions that each pod has begun. */
async function sessionsOf(pods: readonly string[]): Promise<number[]> {
  const logs = await Promise.all(pods.map((name) => kubectl.run(['logs', name, '--tail', '-1'])));
  return logs.map((log) => log.split('\n').filter((line) => line.includes(': connect from ')).length);
}

async function startClient(client: typeof LOAD): Promise<void> {
  await kubectl.apply('retrying-load.yaml', { ...client, messages: 0, domains: 'example.com' });
  await kubectl.run(['wait', '--for=condition=Ready', `pod/${client.name}`, '--timeout=60s']);
}

/** What a client has seen, when it has ended: the ids of what was accepted. */
async function endClient(t: TestContext, { name }: typeof LOAD): Promise<string[]> {
  const counts = JSON.parse(await kubectl.get(name, '/stop')) as { retried: number; givenUp: number };
  const failures = JSON.parse(await kubectl.get(name, '/failures')) as Failure[];
  const accepted = (await kubectl.get(name, '/accepted')).split('\n').filter(Boolean);
  t.diagnostic(`${name}: ${accepted.length} accepted, ${JSON.stringify(counts)}`);
  for (const { times, text } of failures) t.diagnostic(`${name}: ${times} times: ${text}`);
  assert.deepEqual(
    failures.filter((failure) => !isCurable(failure)),
    [],
    'failures that a client must not see',
  );
  assert.equal(counts.givenUp, 0, 'messages that trying again did not cure');
  return accepted;
}

before(() => own.remove());
after(() => own.removeAfterwards());

test('smtpd scales with the load, and down again without a loss', (t) =>
  withTroubles(t, kubectl, async () => {
    const accepted: string[] = [];

    await step(t, 'charts, sink and MailServer with one smtpd', async () => {
      await own.install();
      await kubectl.apply('timing-sink.yaml', { milliseconds: 0, ports: JSON.stringify([String(SINK_PORT)]) });
      await kubectl.ready('deployment/sink');
      await own.serve(spec());
      await until('one smtpd', 60, async () => (await smtpds()).ready.length === LEAST);
    });

    await step(t, `under load there are at least ${WANTED}`, async () => {
      await startClient(STEADY);
      await startClient(LOAD);
      await scaled(t, 'scaling up', 300, (ready) => ready >= WANTED);
    });

    await step(t, 'all of them get sessions', async () => {
      const { ready } = await smtpds();
      const before = await sessionsOf(ready);
      let counts: number[] = [];
      await until(`${COUNTED} sessions`, 90, async () => {
        counts = (await sessionsOf(ready)).map((count, number) => count - before[number]!);
        return counts.reduce((sum, count) => sum + count, 0) >= COUNTED;
      });
      t.diagnostic(`sessions of each smtpd: ${counts}`);
      assert.ok(ready.length >= WANTED);
      for (const count of counts) assert.ok(count >= COUNTED / ready.length / 2, `${count} sessions at one of them`);
    });

    await step(t, 'without the load there is one again, and no client is failed', async () => {
      accepted.push(...(await endClient(t, LOAD)));
      await scaled(t, 'scaling down', 420, (ready, all) => ready === LEAST && all === LEAST);
      accepted.push(...(await endClient(t, STEADY)));
    });

    await step(t, 'nothing that was accepted is lost', async () => {
      let missing: string[] = [];
      let arrived: string[] = [];
      await until('all that was accepted at the sink', 120, async () => {
        arrived = (JSON.parse(await kubectl.get('sink', '/transactions')) as { id: string }[]).map(({ id }) => id);
        const seen = new Set(arrived);
        missing = accepted.filter((id) => !seen.has(id));
        return missing.length === 0;
      }).catch(() => undefined);
      t.diagnostic(
        `accepted ${accepted.length} arrived ${arrived.length} lost ${missing.length} duplicates ${arrived.length - new Set(arrived).size}`,
      );
      assert.deepEqual(missing, []);
    });

    await step(t, `${SERVER} is ready, and the operator logged no error`, async () => {
      await own.settled();
      await assertQuietOperator(kubectl);
    });
  }));
