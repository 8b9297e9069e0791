/**
 * Commands against a running queue: a queue with messages in it, served over gRPC on a socket as an instance does, and
 * main.cf that names it. `run` calls a command's main with streams at hand.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { type Cleanup, type Envelope, SubmitStatus } from '../../lib/clients/protocols.ts';
import { createQueueCommands } from '../../lib/queue/queue-commands.ts';
import { listenRpc } from '../../lib/server/rpc-listener.ts';
import { testContext } from './delivery.ts';
import { createQueue, type TestQueue } from './queue.ts';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Main = (
  argv: string[],
  io: {
    stdin: NodeJS.ReadableStream;
    stdout: NodeJS.WritableStream;
    stderr: NodeJS.WritableStream;
    environment: NodeJS.ProcessEnv;
  },
) => Promise<number>;

export interface RunningQueue extends AsyncDisposable {
  readonly queue: TestQueue;
  /** What was handed to cleanup. */
  readonly submitted: readonly Envelope[];
  /** Has main.cf. */
  readonly directory: string;
  run(main: Main, argv: string[], stdin?: string): Promise<CommandResult>;
  /** Ends the services; the commands find nobody from then on. */
  stop(): Promise<void>;
}

function collector(): { stream: Writable; text: () => string } {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      pieces.push(chunk);
      setImmediate(done);
    },
  });
  return { stream, text: () => Buffer.concat(pieces).toString('latin1') };
}

export async function runCommand(main: Main, argv: string[], directory: string, stdin = ''): Promise<CommandResult> {
  const stdout = collector();
  const stderr = collector();
  const environment = { MAIL_CONFIG: directory };
  const io = { stdin: Readable.from([stdin]), stdout: stdout.stream, stderr: stderr.stream, environment };
  const status = await main(argv, io);
  for (const { stream } of [stdout, stderr]) await finished(stream.end());
  return { status, stdout: stdout.text(), stderr: stderr.text() };
}

export async function runQueue(mainCf = ''): Promise<RunningQueue> {
  const queue = await createQueue();
  const directory = await mkdtemp(join(tmpdir(), 'postfleet-commands-'));
  const tokenFile = join(directory, 'token');
  const token = 'a token of the test';
  await writeFile(tokenFile, `${token}\n`);
  await writeFile(
    join(directory, 'main.cf'),
    `compatibility_level = 3.12
postfleet_rpc_address = unix:${directory}/{service}.sock
postfleet_rpc_token_file = ${tokenFile}
${mainCf}
`,
  );
  const submitted: Envelope[] = [];
  const base = testContext({ mainCf, lines: [], name: 'showq' });
  const cleanup: Cleanup = {
    async submit({ envelope }) {
      submitted.push(envelope!);
      return { status: SubmitStatus.QUEUED, queueId: envelope!.queueId, enhancedStatus: '', reason: '' };
    },
    submitLarge: () => Promise.reject(new Error('the messages of this queue are small')),
  };
  const context = {
    ...base,
    clients: { ...base.clients, cleanup: () => cleanup },
    entries: queue.entries,
    stores: queue.stores,
  };
  const implementation = { queue: createQueueCommands(context) };
  let servers: AsyncDisposable[] = [];
  for (const service of ['showq', 'flush']) {
    const address = `unix:${directory}/${service}.sock`;
    servers.push(await listenRpc({ address, token, implementation, log: context.log }));
  }
  const stop = async (): Promise<void> => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    servers = [];
  };
  return {
    queue,
    submitted,
    directory,
    run: (main, argv, stdin) => runCommand(main, argv, directory, stdin),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await queue[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
