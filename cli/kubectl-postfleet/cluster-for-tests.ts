/** A cluster of one MailServer, whose pods answer commands as a test says. */
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Cluster, ExecStreams, MailServer, Pod } from './cluster.ts';
import { main } from './main.ts';

export const NOW = Date.parse('2026-11-22T12:00:00Z');

export const POD: Pod = {
  name: 'mail-showq-1',
  uid: 'u1',
  component: 'showq',
  phase: 'Running',
  ready: true,
  restarts: 0,
  node: 'node1',
  created: '2026-11-22T11:00:00Z',
};

export const MAIL: MailServer = {
  metadata: { name: 'mail', namespace: 'default', generation: 3 },
  spec: { mainCf: { myhostname: 'mail.example.test' } },
  status: {
    observedGeneration: 3,
    hostname: 'mail.example.test',
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'AllReady',
        message: 'all services are ready',
        observedGeneration: 3,
        lastTransitionTime: '2026-11-22T11:55:00Z',
      },
    ],
    services: [{ name: 'smtpd', daemon: 'smtpd', desired: 2, replicas: 2, ready: 1, updated: 2 }],
    queue: { messages: 7, active: 2, deferred: 5, oldestSeconds: 7200 },
    durability: { log: 'fsync', servers: 3, replicas: 3, postgres: 'synchronous' },
  },
};

/** What a command in a pod answers: what it prints, and its status where that is not 0. */
export interface Answer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly status?: number;
}

export interface Situation {
  readonly mailServers?: readonly MailServer[];
  readonly pods?: readonly Pod[];
  readonly stdin?: string;
  /** Answers by the words of the command, after the program's own. */
  readonly answers?: Readonly<Record<string, Answer>>;
}

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The commands that were run, each with what it read. */
  readonly commands: readonly { readonly pod: string; readonly command: string; readonly stdin: string }[];
}

/** Runs the plugin against such a cluster. */
export async function runPlugin(argv: readonly string[], situation: Situation = {}): Promise<Outcome> {
  const commands: { pod: string; command: string; stdin: string }[] = [];
  const cluster: Cluster = {
    namespace: 'default',
    mailServers: async () => situation.mailServers ?? [MAIL],
    pods: async () => situation.pods ?? [POD],
    events: async () => [
      {
        time: '2026-11-22T11:59:00Z',
        type: 'Warning',
        reason: 'ConfigInvalid',
        object: 'MailServer/mail',
        message: 'main.cf line 3',
        count: 2,
      },
    ],
    log: async () => 'postfix/qmgr[1]: warning: something\npostfix/qmgr[1]: 4dG: removed\n',
    async exec(pod: string, words: readonly string[], streams: ExecStreams): Promise<number> {
      const command = words.slice(2).join(' ');
      commands.push({ pod, command, stdin: streams.stdin === undefined ? '' : await text(streams.stdin) });
      const answer = situation.answers?.[command] ?? {};
      streams.stderr.write(answer.stderr ?? '');
      streams.stdout.write(answer.stdout ?? '');
      return answer.status ?? 0;
    },
  };
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const printed = Promise.all([text(stdout), text(stderr)]);
  const stdin = Readable.from([situation.stdin ?? '']);
  const status = await main(
    argv,
    { stdin, stdout, stderr },
    () => cluster,
    () => NOW,
  );
  stdout.end();
  stderr.end();
  const [out, err] = await printed;
  return { status, stdout: out, stderr: err, commands };
}
