/**
 * An upgrade under load, from the build before to that of this tree: charts, operator, migrations and services, both built from
 * the sources. Each Deployment is rolled once, the stores not at all; no message is lost, and none arrives twice.
 *
 * The build before is that of the commit in settings.sh, or of POSTFLEET_PREVIOUS. It is taken from the history of this tree: in
 * a clone without it the scenario fails and says so.
 *
 * `make cluster-test` runs it; without a cluster it fails, for it is not part of `make test`.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { setting } from './helm.ts';
import { until } from './kubectl.ts';
import { assertBalanced, LoadedFleet, replicas, startFleet, untilReady } from './ledger-system.ts';
import { OperatorLogs } from './operator-log.ts';
import { OwnNamespace, SERVER } from './own-namespace.ts';
import { step, withTroubles } from './troubles.ts';

const RATE = Number(process.env.POSTFLEET_CLUSTER_RATE ?? 10);
const PREVIOUS_IMAGES = ['postfleet-previous', 'postfleet-operator-previous'];
const IMAGES = join(import.meta.dirname, 'images.sh');

const own = new OwnNamespace('postfleet-upgrade');
const { kubectl } = own;
const run = promisify(execFile);

interface Deployment {
  readonly revision: number;
  readonly image: string;
}

/** The services' Deployments by name. */
async function deployments(): Promise<Map<string, Deployment>> {
  const selector = `postfleet.dev/mailserver=${SERVER},postfleet.dev/service`;
  const { items } = JSON.parse(
    await kubectl.run(['get', 'deployments', '--selector', selector, '--output', 'json']),
  ) as {
    items: {
      metadata: { name: string; annotations: Record<string, string> };
      spec: { template: { spec: { containers: { image: string }[] } } };
    }[];
  };
  return new Map(
    items.map(({ metadata, spec }) => [
      metadata.name,
      {
        revision: Number(metadata.annotations['deployment.kubernetes.io/revision']),
        image: spec.template.spec.containers[0]!.image,
      },
    ]),
  );
}

/** Pods of the stores, with their uids. */
async function stores(): Promise<string> {
  const selector = 'app.kubernetes.io/name in (postfleet-dev-nats,postfleet-dev-postgres)';
  const template = 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\\n"}{end}';
  return kubectl.run(['get', 'pods', '--selector', selector, '--output', template]);
}

before(() => own.remove());
after(() => own.removeAfterwards());

test('a fleet is upgraded under load', (t) =>
  withTroubles(t, kubectl, async () => {
    await using operatorLogs = new OperatorLogs(kubectl);
    let load: LoadedFleet | undefined;

    await step(t, 'a fleet of the build before is ready and takes mail', async (t) => {
      await run('bash', [IMAGES, ...PREVIOUS_IMAGES], { maxBuffer: 16 * 1024 * 1024 });
      const tree = await setting('$cache/previous');
      t.diagnostic(`from the build of ${await setting('$previous_build')}`);
      const images = [
        'image.repository=localhost/postfleet-operator-previous',
        'serviceImage.repository=localhost/postfleet-previous',
      ];
      await startFleet(own, { install: () => Promise.all([own.installOperator(images, tree), own.installStores()]) });
      for (const [name, { image }] of await deployments()) assert.match(image, /postfleet-previous/, name);
      load = await LoadedFleet.begin(kubectl, RATE);
    });

    await step(t, 'helm upgrade takes every service to this build, one roll each', async (t) => {
      const [before, storesBefore] = [await deployments(), await stores()];
      const start = performance.now();
      await own.installOperator();
      await until('every service of this build', 600, async () =>
        [...(await deployments()).values()].every(({ image }) => !image.includes('previous')),
      );
      await untilReady(kubectl, 600);
      t.diagnostic(`${before.size} Deployments rolled after ${((performance.now() - start) / 1000).toFixed(0)} s`);
      const now = await deployments();
      assert.deepEqual([...now.keys()].sort(), [...before.keys()].sort());
      for (const [name, { revision }] of now) assert.equal(revision, before.get(name)!.revision + 1, `${name}: rolls`);
      for (const [name, { restarts }] of await replicas(kubectl)) assert.equal(restarts, 0, `${name}: restarts`);
      assert.equal(await stores(), storesBefore, 'a store was made anew');
      await load!.flows('mail after the upgrade', RATE);
    });

    await step(t, 'nothing was lost, and nothing arrived twice', async (t) => {
      assertBalanced(t, await load!.balance(), 0);
    });

    await step(t, 'the operator logged no error', () => operatorLogs.assertQuiet(2));
  }));
