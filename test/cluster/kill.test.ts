/**
 * Under load a pod of every kind is deleted, one after another, and then pods at random, stores included: three NATS servers and
 * Postgres. What was answered with 250 arrives; what arrives twice has a cause; the shards of a qmgr have another owner within
 * seconds.
 *
 * Deletions are of two sorts: "told to end", with the grace period of the pod, and "killed", after SIGKILL to its processes in the
 * middle of what they do, or on another cluster than that of `make cluster` with a second between SIGTERM and SIGKILL. POSTFLEET_CLUSTER_KILLS is the number of all deletions, at least one of each kind; POSTFLEET_CLUSTER_RATE that of messages per second.
 *
 * `make cluster-test` runs it; without a cluster it fails, for it is not part of `make test`.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import type { Kill } from '../faults/ledger.ts';
import { seeded } from '../faults/random.ts';
import { elsewhere } from './daemons.ts';
import { until } from './kubectl.ts';
import { assertBalanced, LoadedFleet, startFleet } from './ledger-system.ts';
import { OperatorLogs } from './operator-log.ts';
import { OwnNamespace, SERVER } from './own-namespace.ts';
import { crashPod } from './processes.ts';
import { QmgrLogs } from './qmgr-logs.ts';
import { step, withTroubles } from './troubles.ts';

/** What is deleted, separated by blanks; every kind unless given. */
const KINDS = process.env.POSTFLEET_CLUSTER_KINDS?.split(' ');
const KILLS = Number(process.env.POSTFLEET_CLUSTER_KILLS ?? 60);
const RATE = Number(process.env.POSTFLEET_CLUSTER_RATE ?? 10);
const SEED = Number(process.env.POSTFLEET_CLUSTER_SEED ?? 20_261_122);
const TAKEOVER_LIMIT = 5;
/** Seconds until mail flows, and until everything is ready, after a deletion. */
const RECOVERY_LIMIT = 120;

const own = new OwnNamespace('postfleet-kill');
const { kubectl } = own;

/** What is deleted: labels of the pods, and what must be ready again before the next. */
interface Kind {
  readonly name: string;
  readonly selector: string;
  readonly object: string;
}

const service = (name: string): Kind => ({
  name,
  selector: `postfleet.dev/mailserver=${SERVER},postfleet.dev/service=${name}`,
  object: `deployment/${SERVER}-${name}`,
});

async function kinds(): Promise<Kind[]> {
  const template = '{range .items[*]}{.metadata.labels.postfleet\\.dev/service}{"\\n"}{end}';
  const selector = `postfleet.dev/mailserver=${SERVER},postfleet.dev/service`;
  const names = await kubectl.run(['get', 'deployments', '--selector', selector, '--output', `jsonpath=${template}`]);
  const operator = `deployment/${kubectl.namespace}-operator-postfleet-operator`;
  return [
    ...names.trim().split('\n').map(service),
    { name: 'nats-server', selector: 'app=nats', object: 'statefulset/nats' },
    {
      name: 'postgres',
      selector: 'app.kubernetes.io/name=postfleet-dev-postgres',
      object: 'statefulset/postfleet-postgres',
    },
    { name: 'operator', selector: 'app.kubernetes.io/name=postfleet-operator', object: operator },
  ];
}

class Killing {
  readonly #load: LoadedFleet;
  readonly #logs: QmgrLogs;
  readonly #random = seeded(SEED);
  readonly kills: Kill[] = [];
  /** Seconds of each takeover. */
  readonly takeovers: number[] = [];

  constructor(load: LoadedFleet, logs: QmgrLogs) {
    this.#load = load;
    this.#logs = logs;
  }

  /** Deletes one pod of the kind and waits until mail flows and everything is there again. */
  async delete(t: TestContext, { name, selector, object }: Kind, of: number): Promise<void> {
    const pods = await kubectl.pods(selector);
    assert.ok(pods.length > 0, `no pod has the labels ${selector}`);
    const { name: pod, uid } = this.#random.pick(pods);
    const isKilled = this.#random.chance(0.6);
    const shards =
      name === 'qmgr'
        ? await this.#sharedOut(
            pods.map((one) => one.name),
            pod,
          )
        : [];
    const kill = { kind: name, at: Date.now(), ended: Number.POSITIVE_INFINITY, back: Number.POSITIVE_INFINITY };
    this.kills.push(kill);
    if (isKilled && elsewhere === false) assert.ok((await crashPod(uid)) > 0, `${pod} has no process here`);
    const seconds = (): string => ((Date.now() - kill.at) / 1000).toFixed(1);
    const gone = kubectl
      .run(['delete', 'pod', pod, ...(isKilled ? ['--grace-period=1'] : []), '--timeout=150s'])
      .then(() => {
        kill.ended = Date.now();
      });
    gone.catch(() => undefined);
    const said = [`deletion ${this.kills.length}/${of}: ${pod} ${isKilled ? 'killed' : 'told to end'}`];
    if (shards.length > 0) said.push(await this.#takeover(pod, shards, kill.at));
    await this.#load.flows(`mail after the deletion of ${pod}`, RATE, RECOVERY_LIMIT);
    said.push(`mail flows after ${seconds()} s`);
    await gone;
    await until(`a pod in the place of ${pod}`, RECOVERY_LIMIT, async () => {
      const now = await kubectl.pods(selector);
      return now.length >= pods.length && now.every((one) => one.uid !== uid);
    });
    await kubectl.ready(object, RECOVERY_LIMIT);
    kill.back = Date.now();
    said.push(`all back after ${seconds()} s`);
    t.diagnostic(said.join(', '));
  }

  /** The shards of a qmgr, as soon as every qmgr has some: only then is there somebody to take them over. */
  async #sharedOut(all: readonly string[], pod: string): Promise<number[]> {
    await until('shards at every qmgr', 60, async () => all.every((one) => this.#logs.ownedBy(one).length > 0));
    return this.#logs.ownedBy(pod);
  }

  async #takeover(pod: string, shards: readonly number[], at: number): Promise<string> {
    const times = () => shards.map((shard) => this.#logs.takenFrom(pod, shard, at));
    await until(`shards ${shards.join(' ')} taken over`, 60, async () => times().every((time) => time !== undefined));
    const seconds = (Math.max(...times().map((time) => time!)) - at) / 1000;
    this.takeovers.push(seconds);
    return `shards ${shards.join(' ')} taken over after ${seconds.toFixed(1)} s`;
  }

  /** Every kind once, then kinds at random. */
  async run(t: TestContext, all: readonly Kind[]): Promise<void> {
    const plan = this.#random.shuffled(all);
    while (plan.length < KILLS) plan.push(this.#random.pick(all));
    for (const kind of plan) await this.delete(t, kind, plan.length);
  }
}

before(() => own.remove());
after(() => own.removeAfterwards());

test('pods of every kind are deleted under load', (t) =>
  withTroubles(t, kubectl, async () => {
    await using operatorLogs = new OperatorLogs(kubectl);
    let load: LoadedFleet | undefined;
    let killing: Killing | undefined;

    await step(t, 'a fleet with three NATS servers is ready', async () => {
      const servers = [0, 1, 2].map((at) => `nats://nats-${at}.nats.${kubectl.namespace}.svc.cluster.local:4222`);
      await startFleet(own, {
        stores: async () => {
          await kubectl.apply('nats-cluster.yaml');
          await kubectl.ready('statefulset/nats');
        },
        spec: {
          nats: {
            url: servers.join(','),
            monitorUrl: `http://nats-0.nats.${kubectl.namespace}.svc.cluster.local:8222`,
          },
        },
      });
      const replicas = '{.status.durability.replicas}';
      assert.equal(await kubectl.run(['get', 'mailserver', SERVER, '--output', `jsonpath=${replicas}`]), '3');
    });

    await using logs = new QmgrLogs(kubectl);
    await step(t, 'pods are deleted', async (t) => {
      load = await LoadedFleet.begin(kubectl, RATE);
      killing = new Killing(load, logs);
      await killing.run(
        t,
        (await kinds()).filter(({ name }) => KINDS?.includes(name) ?? true),
      );
    });

    await step(t, 'nothing was lost, and what arrived twice has a cause', async (t) => {
      assertBalanced(t, await load!.balance(killing!.kills, logs.removed), killing!.kills.length);
    });

    await step(t, 'shards are taken over within seconds', async (t) => {
      const { takeovers } = killing!;
      assert.ok(takeovers.length > 0 || KINDS !== undefined, 'no qmgr was deleted');
      const slowest = Math.max(...takeovers);
      t.diagnostic(`qmgr takeover: ${slowest.toFixed(1)} s at most of ${takeovers.length}`);
      assert.ok(slowest <= TAKEOVER_LIMIT, `a takeover took ${slowest} s`);
    });

    // Stores that are away for a moment are no error of the operator; that it cannot reach them is.
    await step(t, 'the operator logged no error', () =>
      operatorLogs.assertQuiet(killing!.kills.some(({ kind }) => kind === 'operator') ? 2 : 1),
    );
  }));
