/**
 * A real Kubernetes API server for tests, with etcd beneath it and nothing around it: no controllers and no kubelet. What
 * those would write, tests write themselves. Both listen on free ports of 127.0.0.1 and end with the test process.
 *
 *     await using server = await startApiServer();
 *     const client = new ApiClient(server.kubeConfig());
 *
 * The programs are etcd of the system and what `make cluster` has built; where one is missing, `apiServerPrograms` is
 * undefined and tests skip.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import { serverFolder, startServer } from './servers.ts';

/** Where test/cluster keeps what it builds. */
const TOOLS = join(process.env.POSTFLEET_CACHE ?? join(import.meta.dirname, '../../.tools/cluster'), 'bin');
const ETCD = ['/usr/bin/etcd', '/usr/local/bin/etcd'].find((path) => existsSync(path));
const KUBERNETES = existsSync(TOOLS) ? readdirSync(TOOLS).find((name) => name.startsWith('kubernetes-')) : undefined;
const START_LIMIT_MS = 120_000;

/** Undefined where the programs are missing. */
export const apiServerPrograms =
  ETCD === undefined || KUBERNETES === undefined ? undefined : { etcd: ETCD, kubernetes: join(TOOLS, KUBERNETES) };

export interface ApiServer extends AsyncDisposable {
  /** For an administrator, or for the user of that name, who has only the rights that a test gives. */
  kubeConfig(user?: string): KubeConfig;
  /** Ends the API server; what it has stored stays. */
  kill(): Promise<void>;
  /** Starts it on the same port, after `kill`. */
  restart(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startEtcd(program: string): Promise<AsyncDisposable & { readonly url: string }> {
  const folder = await serverFolder('etcd');
  const [url, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const server = await startServer(folder, 'KILL', [
    program,
    ...['--name', 'test', '--data-dir', join(folder, 'data'), '--unsafe-no-fsync', '--log-level', 'warn'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peer],
    ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
  ]);
  return { url, [Symbol.asyncDispose]: () => server.close() };
}

/** Starts both. `users`: names of users beside the administrator. */
export async function startApiServer(users: readonly string[] = []): Promise<ApiServer> {
  await using stack = new AsyncDisposableStack();
  const { etcd, kubernetes } = apiServerPrograms!;
  const store = stack.use(await startEtcd(etcd));
  const folder = await serverFolder('api-server');
  const port = await freePort();
  const tokens = new Map(['admin', ...users].map((user) => [user, randomBytes(16).toString('hex')]));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = join(folder, 'service-account.key');
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const tokenFile = join(folder, 'tokens');
  const rows = [...tokens].map(
    ([user, token]) => `${token},${user},${user}${user === 'admin' ? ',system:masters' : ''}`,
  );
  await writeFile(tokenFile, `${rows.join('\n')}\n`);
  const server = await startServer(folder, 'KILL', [
    kubernetes,
    'kube-apiserver',
    ...['--etcd-servers', store.url, '--cert-dir', join(folder, 'certificates')],
    ...['--bind-address', '127.0.0.1', '--secure-port', String(port), '--advertise-address', '192.0.2.1'],
    ...['--endpoint-reconciler-type', 'none', '--service-cluster-ip-range', '10.96.0.0/16'],
    ...['--authorization-mode', 'RBAC', '--token-auth-file', tokenFile],
    ...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-account-key-file', key],
    ...['--service-account-signing-key-file', key, '--disable-admission-plugins', 'ServiceAccount'],
  ]);
  stack.defer(() => server.close());
  const kubeConfig = (user = 'admin'): KubeConfig => {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'test', server: `https://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: user, token: tokens.get(user)! },
    );
    return config;
  };
  await answers(kubeConfig());
  const held = stack.move();
  return {
    kubeConfig,
    kill: () => server.kill('KILL'),
    async restart() {
      await server.start();
      await answers(kubeConfig());
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Waits until the API server is ready. */
async function answers(config: KubeConfig): Promise<void> {
  const client = new ApiClient(config);
  try {
    for (const deadline = Date.now() + START_LIMIT_MS; ; await delay(200)) {
      try {
        await client.request('GET', '/api/v1/namespaces/default');
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  } finally {
    client.close();
  }
}
