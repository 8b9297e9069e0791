/**
 * Server processes that live no longer than the test process that started them, however that ends: a shell holds the
 * reading end of a pipe from the test process, and when it closes, the shell ends the server and removes its folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** "$1": folder to remove in the end, "$2": signal that ends the server at once; the rest: the command. */
const KEEPER = `folder=$1 signal=$2; shift 2; exec 3<&0
run() { "$@" </dev/null & server=$!; echo "pid $server"; }
run "$@"
while read -r verb with <&3; do
  case $verb in
  kill) kill -"$with" $server; wait $server; echo "ended $server" ;;
  start) run "$@" ;;
  esac
done
kill -"$signal" $server 2>/dev/null; wait $server 2>/dev/null
rm -rf "$folder"`;

export interface ServerProcess {
  pid(): number;
  /** Everything that the server has written since its last start. */
  output(): string;
  /** Resolves with the first line that matches; rejects with all output when the server ends or the time is up. */
  line(pattern: RegExp): Promise<string>;
  /** Sends a signal (`KILL`, `TERM`) and waits until the process is gone. */
  kill(signal: string): Promise<void>;
  /** Starts it again after `kill`, with the same command. */
  start(): Promise<void>;
  /** Ends the server and removes its folder. */
  close(): Promise<void>;
}

const START_LIMIT_MS = 30_000;

/** Starts a command; `folder` is removed in the end. */
export async function startServer(
  folder: string,
  endSignal: string,
  command: readonly string[],
): Promise<ServerProcess> {
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'sh', folder, endSignal, ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  });
  const output = collect(keeper);
  const gone = new Promise<void>((resolve) => keeper.once('close', () => resolve()));
  const readPid = async () => Number((await output.line(/^pid \d+$/m)).slice('pid '.length));
  let pid = await readPid();
  // Nothing here shall keep a test process alive that has nothing else to do.
  keeper.unref();
  for (const stream of [keeper.stdin, keeper.stdout, keeper.stderr]) (stream as unknown as { unref(): void }).unref();
  return {
    pid: () => pid,
    output: output.text,
    line: output.line,
    async kill(signal) {
      keeper.stdin!.write(`kill ${signal}\n`);
      await output.line(new RegExp(`^ended ${pid}$`, 'm'));
    },
    async start() {
      output.clear();
      keeper.stdin!.write('start\n');
      pid = await readPid();
    },
    async close() {
      keeper.ref();
      keeper.stdin!.end();
      await gone;
    },
  };
}

function collect(keeper: ChildProcess) {
  let text = '';
  const watchers = new Set<() => void>();
  const add = (chunk: Buffer): void => {
    text += chunk.toString('utf8');
    for (const watcher of watchers) watcher();
  };
  keeper.stdout!.on('data', add);
  keeper.stderr!.on('data', add);
  let ended = false;
  keeper.once('close', () => {
    ended = true;
    for (const watcher of watchers) watcher();
  });
  async function line(pattern: RegExp): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(new Error(`no ${pattern} in time:\n${text}`)), START_LIMIT_MS);
    const look = (): void => {
      const found = pattern.exec(text);
      if (found !== null) resolve(found[0]);
      else if (ended) reject(new Error(`the server ended:\n${text}`));
    };
    watchers.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      watchers.delete(look);
    }
  }
  const clear = (): void => {
    text = '';
  };
  return { text: () => text, line, clear };
}

/** A folder for one server. */
export function serverFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `postfleet-${name}-`));
}
