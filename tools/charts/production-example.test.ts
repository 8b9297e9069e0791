/** examples/production: what its README makes is what its values ask for, as far as that can be seen without a cluster. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { checkMailServer } from '../../lib/mailserver/check.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(ROOT, 'examples/production', name), 'utf8');
const values = (name: string) => parse(read(name));

const README = read('README.md');
const COMMANDS = [...README.matchAll(/^```\n([\s\S]*?)^```$/gm)]
  .flatMap(([, block]) => block!.replaceAll('\\\n', ' ').split('\n'))
  .filter((line) => /^\w/.test(line));

/** "Secret nats-url url", and its like, for each key that a command makes. */
const made = COMMANDS.flatMap((line) => {
  const [, kind, name, rest = ''] =
    /^kubectl create (secret generic|configmap) (\S+) --namespace mail (.*)$/.exec(line) ?? [];
  if (kind === undefined) return [];
  return [...rest.matchAll(/--from-(?:literal|file)=([\w.-]+)=/g)].map(
    ([, key]) => `${kind === 'configmap' ? 'ConfigMap' : 'Secret'} ${name} ${key}`,
  );
});

/** The Secret of a CloudNativePG cluster for its application. */
const databaseSecret = `Secret ${values('postgres.yaml').metadata.name}-app uri`;

interface Table {
  readonly configMap?: { readonly name: string; readonly key: string };
  readonly secret?: { readonly name: string; readonly key: string };
}

test('every Secret and ConfigMap that the MailServer names is made before', () => {
  const { tables, nats, postgres } = values('mailserver-values.yaml');
  const references = [
    `Secret ${nats.secretRef.name} ${nats.secretRef.key}`,
    `Secret ${postgres.secretRef.name} ${postgres.secretRef.key}`,
    ...Object.values(tables as Record<string, Table>).map(({ configMap, secret }) =>
      configMap === undefined
        ? `Secret ${secret?.name} ${secret?.key}`
        : `ConfigMap ${configMap.name} ${configMap.key}`,
    ),
  ];
  const missing = references.filter((reference) => ![...made, databaseSecret].includes(reference));
  assert.deepEqual(missing, []);
});

test('the files that the commands read are there', () => {
  const files = COMMANDS.flatMap((line) =>
    [...line.matchAll(/examples\/production\/([\w.-]+)/g)].map(([, name]) => name!),
  );
  assert.ok(files.length >= 6);
  for (const name of files) assert.notEqual(read(name), '');
});

test('NATS reads its password from the Secret, with a variable that its chart does not quote', () => {
  const { config, container } = values('nats.yaml');
  const [, variable = ''] = /^<< \$(\w+) >>$/.exec(config.merge.authorization.password) ?? [];
  const { name, key } = container.env[variable].valueFrom.secretKeyRef;
  assert.ok(made.includes(`Secret ${name} ${key}`));
});

test('NATS keeps what the MailServer relies on', () => {
  const { config } = values('nats.yaml');
  assert.equal(config.jetstream.merge.sync_interval, 'always');
  assert.equal(config.cluster.replicas, 3);
  const { monitorUrl } = values('mailserver-values.yaml').nats;
  assert.equal(config.monitor.port, Number(new URL(monitorUrl).port));
  const user = config.merge.authorization.user as string;
  assert.match(README, new RegExp(`nats://${user}:\\$password@nats\\.mail\\.`));
});

test('Postgres waits for a second server, and its owner is that of the database', () => {
  const { apiVersion, kind, spec } = values('postgres.yaml');
  assert.equal(`${apiVersion} ${kind}`, 'postgresql.cnpg.io/v1 Cluster');
  assert.ok(spec.instances > spec.postgresql.synchronous.number);
  assert.equal(spec.postgresql.synchronous.dataDurability, 'required');
  assert.equal(typeof spec.postgresql.parameters.max_connections, 'string');
});

test('the MailServer has no problem in the cluster of the example', () => {
  const { podMonitor: _monitor, test: _test, ...spec } = values('mailserver-values.yaml');
  const resource = { apiVersion: 'postfleet.dev/v1alpha1', kind: 'MailServer', metadata: { name: 'mail' }, spec };
  const { clusterNetworks } = values('operator-values.yaml');
  assert.deepEqual(checkMailServer(resource, { clusterNetworks }).problems, []);
});

test('the operator serves the namespace of the MailServer', () => {
  assert.deepEqual(values('operator-values.yaml').watchNamespaces, ['mail']);
  assert.ok(COMMANDS.some((line) => /^helm install mail charts\/postfleet --namespace mail /.test(line)));
});
