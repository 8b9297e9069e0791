/**
 * What the development install costs when it has nothing to do: the memory of all its pods, memory and processor time of the
 * operator, and what a reconcile of an unchanged MailServer writes.
 *
 * Nothing else may shake the cluster meanwhile: the status says so when, for instance, NATS cannot be asked for its settings.
 *
 * Memory and time are those of this machine's processes: on another cluster these steps are skipped.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { elsewhere } from './daemons.ts';
import { until } from './kubectl.ts';
import { assertQuietOperator } from './operator-log.ts';
import { OwnNamespace, SERVER } from './own-namespace.ts';
import { exampleFor } from './postfleet-system.ts';
import { sumOf, usageOfPods } from './processes.ts';
import { step, withTroubles } from './troubles.ts';

const MIB = 1024 * 1024;
const INSTALL_LIMIT = 2.5 * 1024 * MIB;
const OPERATOR_LIMIT = 160e6;
const OPERATOR_SHARE = 0.05;
const IDLE_SECONDS = 60;

const own = new OwnNamespace('postfleet-footprint');
const { kubectl } = own;

const mib = (octets: number): string => `${(octets / MIB).toFixed(0)} MiB`;

/** Kinds of children; events and leases are no part of what a MailServer is. */
const KINDS = [
  'mailservers',
  'deployments',
  'services',
  'configmaps',
  'secrets',
  'serviceaccounts',
  'poddisruptionbudgets',
  'networkpolicies',
  'persistentvolumeclaims',
  'jobs',
  'pods',
].join(',');

interface MailServer {
  readonly spec: unknown;
  readonly status: unknown;
}

/** Spec and status: where something was written, what it was. */
async function mailServer(): Promise<MailServer> {
  const { spec, status } = JSON.parse(
    await kubectl.run(['get', 'mailserver', SERVER, '--output', 'json']),
  ) as MailServer;
  return { spec, status };
}

/** The resourceVersion of the MailServer and of everything with its label, by kind and name. */
async function versions(): Promise<Map<string, string>> {
  const list = JSON.parse(await kubectl.run(['get', KINDS, '--output', 'json'])) as {
    items: { kind: string; metadata: { name: string; resourceVersion: string; labels?: Record<string, string> } }[];
  };
  return new Map(
    list.items
      .filter(({ kind, metadata }) => kind === 'MailServer' || metadata.labels?.['postfleet.dev/mailserver'] === SERVER)
      .map(({ kind, metadata }) => [`${kind}/${metadata.name}`, metadata.resourceVersion]),
  );
}

const operatorPod = async () => {
  const [pod] = await kubectl.pods('app.kubernetes.io/name=postfleet-operator');
  assert.ok(pod);
  return pod;
};

/** How many reconciles the operator has ended well. */
async function reconciles(): Promise<number> {
  const { name } = await operatorPod();
  const path = `/api/v1/namespaces/${kubectl.namespace}/pods/${name}:8080/proxy/metrics`;
  const counts = (await kubectl.run(['get', '--raw', path])).matchAll(
    /^postfleet_operator_reconcile_total\{[^}]*\} (\d+)/gm,
  );
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

before(() => own.remove());
after(() => own.removeAfterwards());

test('the development install with one replica of each is small, and idle when there is nothing to do', (t) =>
  withTroubles(t, kubectl, async () => {
    await step(t, 'charts and example, one replica of each', async () => {
      await own.install();
      await kubectl.run(['apply', '--server-side', '-f', '-'], await exampleFor(kubectl));
      const spec = { replicas: 1, services: { smtpd: { replicas: 1 } } };
      await kubectl.run(['patch', 'mailserver', SERVER, '--type', 'merge', '--patch', JSON.stringify({ spec })]);
      await kubectl.run(['wait', '--for=condition=Ready', `mailserver/${SERVER}`, '--timeout=300s']);
      await own.settled();
    });

    await step(t, 'a reconcile of the unchanged MailServer writes nothing, and the operator is idle', async () => {
      // Status follows the last pod to become ready.
      let before = await versions();
      await until('an unchanged minute to begin', 120, async () => {
        const earlier = before;
        await sleep(10_000);
        before = await versions();
        return [...before].every(([name, version]) => earlier.get(name) === version);
      });
      const content = await mailServer();
      const { uid } = await operatorPod();
      const measured = async () => (await usageOfPods([uid])).get(uid)!;
      const [passes, start, began] = [await reconciles(), await measured(), performance.now()];
      await sleep(IDLE_SECONDS * 1000);
      const [end, seconds] = [await measured(), (performance.now() - began) / 1000];
      const done = (await reconciles()) - passes;

      assert.deepEqual(await mailServer(), content);
      const now = await versions();
      const written = [...new Set([...before.keys(), ...now.keys()])].filter(
        (name) => before.get(name) !== now.get(name),
      );
      assert.deepEqual(written, []);
      assert.ok(done > 0, 'nothing was reconciled in that time');
      t.diagnostic(`unchanged: ${before.size} objects, ${done} reconciles in ${seconds.toFixed(0)} s, nothing written`);

      if (elsewhere !== false) return t.diagnostic(elsewhere);
      const share = (end.seconds - start.seconds) / seconds;
      t.diagnostic(`operator: ${mib(end.pss)} PSS, ${mib(end.rss)} RSS, ${(100 * share).toFixed(1)} % of a core`);
      assert.ok(end.processes > 0 && end.rss > 0, 'the operator has no process here');
      assert.ok(end.pss <= OPERATOR_LIMIT, `the operator has ${mib(end.pss)}`);
      assert.ok(share <= OPERATOR_SHARE, `the operator takes ${share} of a core`);
    });

    await t.test('all pods together', { skip: elsewhere }, async () => {
      const pods = JSON.parse(
        await kubectl.run(['get', 'pods', '--field-selector', 'status.phase=Running', '--output', 'json']),
      ) as { items: { metadata: { name: string; uid: string } }[] };
      const usage = await usageOfPods(pods.items.map(({ metadata }) => metadata.uid));
      for (const { metadata } of pods.items)
        t.diagnostic(`${metadata.name}: ${mib(usage.get(metadata.uid)?.pss ?? Number.NaN)}`);
      const { processes, pss, rss } = sumOf(usage.values());
      t.diagnostic(`install: ${usage.size} pods, ${processes} processes, ${mib(pss)} PSS, ${mib(rss)} RSS`);
      assert.ok(usage.size >= 14, 'the install has more pods than that');
      assert.ok(
        [...usage.values()].every((one) => one.processes >= 2),
        'a pod has no process here',
      );
      assert.ok(pss <= INSTALL_LIMIT, `the install has ${mib(pss)}`);
    });

    await step(t, 'the operator logged no error', () => assertQuietOperator(kubectl));
  }));
