/**
 * From nothing to delivered mail: both charts are installed, the example is applied, and a message sent with swaks to the
 * Service arrives in a mailbox, another at a next hop.
 *
 * `make cluster-test` runs it; without a cluster it fails, for it is not part of `make test`.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import * as helm from './helm.ts';
import { CONFIGURATION, Kubectl, until } from './kubectl.ts';
import { assertQuietOperator } from './operator-log.ts';
import {
  exampleFor,
  installOperator,
  installStores,
  operator,
  removeAfterwards,
  removeAll,
  storesOf,
} from './postfleet-system.ts';
import { step, withTroubles } from './troubles.ts';

const NAMESPACE = 'postfleet-first';
const SERVER = 'mail';
const PLUGIN = join(import.meta.dirname, '../../bin/kubectl-postfleet');

const kubectl = new Kubectl(NAMESPACE);
const run = promisify(execFile);

interface Forward extends AsyncDisposable {
  readonly port: number;
}

/** A port of this machine that leads to the SMTP port of the MailServer's Service, on this cluster as on any other. */
async function forwardSmtp(): Promise<Forward> {
  const args = ['--kubeconfig', CONFIGURATION, '--namespace', NAMESPACE, 'port-forward', `service/${SERVER}`, ':25'];
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    return {
      port: Number(port),
      async [Symbol.asyncDispose]() {
        child.kill();
        await ended;
      },
    };
  }
  throw new Error('kubectl port-forward ended');
}

/** Sends a message; resolves to its queue id. */
async function swaks(to: string, id: string): Promise<string> {
  await using forward = await forwardSmtp();
  const { stdout } = await run('swaks', [
    '--server',
    `127.0.0.1:${forward.port}`,
    '--from',
    'sender@example.test',
    '--to',
    to,
    '--header',
    `X-Ledger-Id: ${id}`,
  ]);
  const queueId = /queued as (\w+)/.exec(stdout)?.[1];
  assert.ok(queueId, stdout);
  return queueId;
}

/** The messages of a maildir, as the pod that writes them sees them. */
async function mailbox(path: string): Promise<string> {
  const script = `
    const { readdirSync, readFileSync, existsSync } = require('node:fs');
    const directory = '/var/mail/' + process.argv[1] + '/new';
    if (existsSync(directory)) for (const name of readdirSync(directory)) process.stdout.write(readFileSync(directory + '/' + name));`;
  return kubectl.exec(`deployment/${SERVER}-virtual`, ['node', '-e', script, path]);
}

const uids = async (): Promise<string[]> =>
  (await kubectl.pods(`postfleet.dev/mailserver=${SERVER}`)).map(({ uid }) => uid).sort();

/** The plugin, as a person calls it. */
const plugin = async (...args: string[]): Promise<string> =>
  (await run(PLUGIN, [...args, '--kubeconfig', CONFIGURATION, '-n', NAMESPACE])).stdout;

before(() => removeAll(kubectl));
after(() => removeAfterwards(kubectl));

test('from nothing: charts, example, first messages', (t) =>
  withTroubles(t, [kubectl, operator], async () => {
    await step(t, 'helm installs the operator', () => installOperator());
    await step(t, 'helm installs development stores', () => installStores(kubectl));

    await step(t, 'kubectl applies the example, and it becomes ready', async () => {
      await kubectl.run(['apply', '--server-side', '-f', '-'], await exampleFor(kubectl));
      await kubectl.run(['wait', '--for=condition=Ready', `mailserver/${SERVER}`, '--timeout=300s']);
    });

    await step(t, 'kubectl get ms shows its columns', async () => {
      const [heading = '', line = ''] = (await kubectl.run(['get', 'ms'])).split('\n');
      assert.deepEqual(heading.trim().split(/\s+/), ['NAME', 'READY', 'REASON', 'HOSTNAME', 'DEFERRED', 'AGE']);
      const [name, ready, , hostname, deferred] = line.trim().split(/\s+/);
      assert.deepEqual([name, ready, hostname, deferred], [SERVER, 'True', 'mail.example.test', '0']);
    });

    await step(t, 'a message sent with swaks to the Service arrives in a mailbox', async () => {
      await swaks('you@example.test', 'first-message');
      await until('the message in the mailbox', 60, async () =>
        (await mailbox('example.test/you')).includes('X-Ledger-Id: first-message'),
      );
    });

    await step(t, 'a next hop that is added without a restart gets a message', async () => {
      await kubectl.apply('sink.yaml');
      await kubectl.ready('deployment/sink');
      const before = await uids();
      const spec = {
        mainCf: { relay_domains: 'sink.test', transport_maps: 'hash:/etc/postfix/transport' },
        tables: {
          transport: { format: 'postmap', inline: `sink.test smtp:[sink.${NAMESPACE}.svc.cluster.local]:25\n` },
        },
      };
      await kubectl.run(['patch', 'mailserver', SERVER, '--type', 'merge', '--patch', JSON.stringify({ spec })]);
      await until('the relay domain in force', 60, async () =>
        (await plugin('lookup', 'transport_maps', 'sink.test')).includes('smtp:[sink.'),
      );
      await until('smtpd takes mail for it', 60, async () => (await swaks('someone@sink.test', 'to-the-sink')) !== '');
      await until('the message at the sink', 60, async () =>
        (await kubectl.get('sink', '/ids')).includes('to-the-sink'),
      );
      assert.deepEqual(await uids(), before, 'pods were made anew for a change of parameters and tables');
    });

    await step(t, 'helm test is green', async () => {
      assert.match(await helm.test(storesOf(kubectl)), /delivered: \w+/);
    });

    await step(t, 'the plugin says that all is well', async () => {
      assert.match(await plugin('status'), /Ready +True/);
      assert.match(await plugin('status'), /Durability: +log fsync/);
      await until('an empty queue', 60, async () => (await plugin('queue')) === 'Mail queue is empty\n');
      assert.match(await plugin('conf', 'myhostname'), /^myhostname = mail\.example\.test\n$/);
    });

    await step(t, 'the operator logged no error', () => assertQuietOperator(operator));
  }));
