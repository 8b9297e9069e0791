/**
 * What a fleet needs to be made is away for a minute while mail flows: the API server, the operator, CoreDNS. Mail goes on to be
 * taken and delivered, no pod is made anew, and nothing is lost or arrives twice.
 *
 * Next hops have addresses here: what has a name cannot be found without a name server, and waits.
 *
 * `make cluster-test` runs it; without a cluster it fails, for it is not part of `make test`. On another cluster than that of
 * `make cluster` the API server is left alone.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { elsewhere, stopDaemon } from './daemons.ts';
import { Kubectl, until } from './kubectl.ts';
import { assertBalanced, flowBetween, LoadedFleet, replicas, startFleet, untilReady } from './ledger-system.ts';
import { OperatorLogs } from './operator-log.ts';
import { OwnNamespace } from './own-namespace.ts';
import { step, withTroubles } from './troubles.ts';

const RATE = Number(process.env.POSTFLEET_CLUSTER_RATE ?? 10);
const AWAY_SECONDS = 60;
/** Seconds without mail that are no interruption yet. */
const GAP_LIMIT = 10;

const own = new OwnNamespace('postfleet-away');
const { kubectl } = own;

/** Takes all pods of a Deployment away until it is disposed of. */
async function scaledAway(where: Kubectl, deployment: string, selector: string): Promise<AsyncDisposable> {
  const get = ['get', 'deployment', deployment, '--output', 'jsonpath={.spec.replicas}'];
  const count = (await where.run(get)).trim();
  const scale = async (replicas: string): Promise<void> => {
    await where.run(['scale', 'deployment', deployment, '--replicas', replicas]);
  };
  await scale('0');
  await where.run(['wait', '--for=delete', 'pod', '--selector', selector, '--timeout=60s']);
  return {
    async [Symbol.asyncDispose]() {
      await scale(count);
      await where.ready(`deployment/${deployment}`);
    },
  };
}

interface Absence {
  readonly from: number;
  readonly to: number;
}

async function absence(away: () => Promise<AsyncDisposable>): Promise<Absence> {
  await using _away = await away();
  const from = Date.now();
  await sleep(AWAY_SECONDS * 1000);
  return { from, to: Date.now() };
}

before(() => own.remove());
after(() => own.removeAfterwards());

test('mail flows while the API server, the operator and CoreDNS are away', (t) =>
  withTroubles(t, kubectl, async () => {
    await using operatorLogs = new OperatorLogs(kubectl);
    let load: LoadedFleet | undefined;

    const withoutIt = async (t: TestContext, what: string, away: () => Promise<AsyncDisposable>): Promise<void> => {
      const pods = await replicas(kubectl);
      const { from, to } = await absence(away);
      await until('a cluster that answers', 120, async () => (await load!.counts()).begun > 0);
      const flow = flowBetween(await load!.sent(), await load!.arrived(), from, to);
      t.diagnostic(
        `${what} away for ${((to - from) / 1000).toFixed(0)} s: ${flow.accepted} accepted, ${flow.delivered} delivered, ` +
          `at most ${flow.acceptedGap.toFixed(1)} s and ${flow.deliveredGap.toFixed(1)} s without any`,
      );
      assert.ok(flow.acceptedGap <= GAP_LIMIT && flow.deliveredGap <= GAP_LIMIT, 'mail did not flow on');
      await untilReady(kubectl);
      assert.deepEqual(await replicas(kubectl), pods, 'pods were made or started anew');
      await load!.flows(`mail with ${what} back`, RATE);
    };

    await step(t, 'a fleet is ready and takes mail', async () => {
      await startFleet(own);
      load = await LoadedFleet.begin(kubectl, RATE);
    });

    await step(t, 'without the operator', (t) =>
      withoutIt(t, 'the operator', () =>
        scaledAway(
          kubectl,
          `${kubectl.namespace}-operator-postfleet-operator`,
          'app.kubernetes.io/name=postfleet-operator',
        ),
      ),
    );

    await step(t, 'without CoreDNS', (t) =>
      withoutIt(t, 'CoreDNS', () => scaledAway(new Kubectl('kube-system'), 'coredns', 'k8s-app=kube-dns')),
    );

    await t.test('without the API server', { skip: elsewhere }, (t) =>
      withoutIt(t, 'the API server', () => stopDaemon('apiserver')),
    );

    await step(t, 'nothing was lost, and nothing arrived twice', async (t) => {
      assertBalanced(t, await load!.balance(), 0);
    });

    await step(t, 'the operator logged no error', () => operatorLogs.assertQuiet(2));
  }));
