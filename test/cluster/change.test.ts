/**
 * Changes of a MailServer under load: parameters, rows of tables, a Secret that it names, a mistake in main.cf, one more service in
 * master.cf. Each comes into force as docs/kubernetes.md says, no message is lost or delivered twice, and no pod is made anew that
 * need not be.
 *
 * `make cluster-test` runs it; without a cluster it fails, for it is not part of `make test`.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { CONFIGURATION, until } from './kubectl.ts';
import {
  assertBalanced,
  conditionOf,
  LoadedFleet,
  patchMailServer,
  replicas,
  type Spec,
  sinkAddress,
  startFleet,
  untilReady,
} from './ledger-system.ts';
import { assertQuietOperator } from './operator-log.ts';
import { OwnNamespace, SERVER } from './own-namespace.ts';
import { step, withTroubles } from './troubles.ts';

const RATE = Number(process.env.POSTFLEET_CLUSTER_RATE ?? 10);
/** Seconds in which a change is in force everywhere. */
const IN_FORCE = 60;
const PLUGIN = join(import.meta.dirname, '../../bin/kubectl-postfleet');

const own = new OwnNamespace('postfleet-change');
const { kubectl } = own;
const run = promisify(execFile);

/** Makes a change and waits until it is in force; fails where one of the pods of before is another or was started again. */
async function withoutRestart(
  t: TestContext,
  what: string,
  change: () => Promise<unknown>,
  inForce: () => Promise<boolean>,
): Promise<void> {
  const before = await replicas(kubectl);
  const start = performance.now();
  await change();
  await until(`${what} in force`, IN_FORCE, inForce);
  const took = ((performance.now() - start) / 1000).toFixed(1);
  await untilReady(kubectl);
  const now = await replicas(kubectl);
  for (const [name, replica] of before) assert.deepEqual(now.get(name), replica, `${name} was made or started anew`);
  t.diagnostic(`${what}: in force after ${took} s, ${before.size} pods as before, ${now.size - before.size} more`);
}

/** A parameter as every pod of a service has it in force. */
async function valueIn(service: string, parameter: string): Promise<Set<string>> {
  const pods = await kubectl.pods(`postfleet.dev/mailserver=${SERVER},postfleet.dev/service=${service}`);
  const values = await Promise.all(
    pods.map(({ name }) => kubectl.exec(name, ['node', 'dist/bin/postfleet.js', 'postconf', '-h', parameter])),
  );
  return new Set(values.map((value) => value.trim()));
}

/** The greeting at a port of the MailServer's Service, as a pod of the fleet meets it. */
async function greeting(port: number): Promise<string> {
  const script = `
    const socket = require('node:net').connect({ host: '${SERVER}', port: ${port} });
    socket.setTimeout(5000, () => process.exit(1));
    socket.once('error', () => process.exit(1));
    socket.once('data', (data) => { process.stdout.write(data); process.exit(0); });`;
  return kubectl.exec(`deployment/${SERVER}-showq`, ['node', '-e', script]);
}

const lookup = async (table: string, key: string): Promise<string> =>
  (await run(PLUGIN, ['lookup', table, key, '--kubeconfig', CONFIGURATION, '-n', kubectl.namespace])).stdout.trim();

before(() => own.remove());
after(() => own.removeAfterwards());

test('a MailServer is changed under load', (t) =>
  withTroubles(t, kubectl, async () => {
    let spec: Spec | undefined;
    let load: LoadedFleet | undefined;
    /** Mail has to flow after each change. */
    const flows = () => load!.flows('mail after the change', RATE);

    await step(t, 'a fleet is ready and takes mail', async () => {
      spec = await startFleet(own);
      load = await LoadedFleet.begin(kubectl, RATE);
    });

    await step(t, 'a parameter comes into force without a restart', async (t) => {
      const banner = 'mail.example.test ESMTP changed';
      await withoutRestart(
        t,
        'a parameter',
        () => patchMailServer(kubectl, { mainCf: { smtpd_banner: banner } }),
        async () => (await greeting(25)).trim() === `220 ${banner}`,
      );
      assert.deepEqual(await valueIn('smtpd', 'smtpd_banner'), new Set([banner]));
      await flows();
    });

    await step(t, 'a row of a table comes into force without a restart', async (t) => {
      const sink = await sinkAddress(kubectl);
      const routes = (more: string) => ({
        tables: { routes: { format: 'postmap', inline: `first.test smtp:[${sink}]:25\n${more}` } },
        mainCf: { transport_maps: `hash:/etc/postfix/routes ${spec!.mainCf.transport_maps}` },
      });
      await withoutRestart(
        t,
        'a table',
        () => patchMailServer(kubectl, routes('')),
        async () => (await lookup('transport_maps', 'first.test')).includes(sink),
      );
      await withoutRestart(
        t,
        'a row',
        () => patchMailServer(kubectl, routes(`second.test smtp:[${sink}]:1025\n`)),
        async () => (await lookup('transport_maps', 'second.test')).includes(']:1025'),
      );
      await flows();
    });

    await step(t, 'a Secret with a table comes into force without a restart', async (t) => {
      const secret = (text: string) =>
        kubectl.run(
          ['apply', '--server-side', '-f', '-'],
          JSON.stringify({
            apiVersion: 'v1',
            kind: 'Secret',
            metadata: { name: 'clients' },
            stringData: { table: text },
          }),
        );
      const names = { name: 'clients', key: 'table' };
      await secret('one.test OK\n');
      await withoutRestart(
        t,
        'tables out of a Secret',
        () =>
          patchMailServer(kubectl, {
            tables: { rows: { format: 'postmap', secret: names }, mounted: { format: 'file', secret: names } },
            mainCf: {
              smtpd_helo_restrictions:
                'check_helo_access hash:/etc/postfix/rows, check_helo_access texthash:/etc/postfix/mounted',
            },
          }),
        async () =>
          (await lookup('hash:/etc/postfix/rows', 'one.test')).includes('OK') &&
          (await lookup('texthash:/etc/postfix/mounted', 'one.test')).includes('OK'),
      );
      await withoutRestart(
        t,
        'a changed Secret',
        () => secret('one.test OK\ntwo.test OK\n'),
        async () =>
          (await lookup('hash:/etc/postfix/rows', 'two.test')).includes('OK') &&
          (await lookup('texthash:/etc/postfix/mounted', 'two.test')).includes('OK'),
      );
      await flows();
    });

    await step(t, 'a mistake in main.cf changes nothing and is named with its line', async (t) => {
      const configMap = async (): Promise<string> =>
        (
          JSON.parse(await kubectl.run(['get', 'configmap', `${SERVER}-config`, '--output', 'json'])) as {
            data: Record<string, string>;
          }
        ).data['main.cf']!;
      const good = await configMap();
      const before = await replicas(kubectl);
      await patchMailServer(kubectl, { mainCf: { maximal_queue_lifetime: '5 fortnights' } });
      let message = '';
      await until('ConfigValid=False', IN_FORCE, async () => {
        const condition = await conditionOf(kubectl, 'ConfigValid');
        message = condition?.message ?? '';
        return condition?.status === 'False';
      });
      t.diagnostic(`ConfigValid=False: ${message.split('\n').join(' | ')}`);
      assert.match(message, /^spec\.mainCf\.maximal_queue_lifetime: .*main\.cf.* line \d+/);
      assert.equal(await configMap(), good, 'the last good configuration does not stay');
      assert.equal((await conditionOf(kubectl, 'Ready'))?.reason, 'ConfigInvalid');
      await flows();
      assert.deepEqual(await replicas(kubectl), before);
      await withoutRestart(
        t,
        'the mistake put right',
        () => patchMailServer(kubectl, { mainCf: { maximal_queue_lifetime: '4d' } }),
        async () => [...(await valueIn('qmgr', 'maximal_queue_lifetime'))].join() === '4d',
      );
    });

    await step(t, 'one more service in master.cf is made beside the others', async (t) => {
      const submission = { service: 'submission', type: 'inet', private: 'n', command: 'smtpd' };
      await withoutRestart(
        t,
        'one more service',
        () =>
          patchMailServer(kubectl, {
            masterCf: [{ ...submission, options: { smtpd_banner: 'submission.example.test ESMTP' } }],
            ingress: {
              ports: [
                { service: 'smtp', port: 25 },
                { service: 'submission', port: 587 },
              ],
            },
          }),
        async () => (await greeting(587)).startsWith('220 submission.example.test'),
      );
      await flows();
      const before = await replicas(kubectl);
      await patchMailServer(kubectl, { masterCf: [], ingress: { ports: [{ service: 'smtp', port: 25 }] } });
      await untilReady(kubectl);
      await until('the service gone', IN_FORCE, async () =>
        [...(await replicas(kubectl)).keys()].every((name) => !name.startsWith(`${SERVER}-submission`)),
      );
      for (const [name, replica] of await replicas(kubectl)) assert.deepEqual(replica, before.get(name), name);
    });

    await step(t, 'nothing was lost, and nothing arrived twice', async (t) => {
      assertBalanced(t, await load!.balance(), 0);
    });

    await step(t, 'the operator logged no error', () => assertQuietOperator(kubectl));
  }));
