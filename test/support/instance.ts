/**
 * A whole instance for tests, started as its users start it: `postfleet start` with a state directory, ports and a
 * configuration of its own, in one process or with each daemon a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../faults/ports.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, process.env.POSTFLEET_TEST_PROGRAM ?? 'bin/postfleet.ts');
const START_LIMIT = 120_000;
const WAIT_LIMIT = 60_000;
/** Five of its own, and one for the health of each service. */
const PORTS = 40;

export type Shape = 'one process' | 'many processes';

export interface InstanceOptions {
  readonly shape: Shape;
  /** Lines after those of the sample main.cf; DIRECTORY stands for the folder of the test. */
  readonly mainCf?: string;
  /** Lines after those of the sample master.cf. */
  readonly masterCf?: string;
}

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestInstance implements AsyncDisposable {
  readonly directory: string;
  readonly smtpPort: number;
  readonly #server: ChildProcess;
  #output = '';

  private constructor(directory: string, smtpPort: number, server: ChildProcess) {
    this.directory = directory;
    this.smtpPort = smtpPort;
    this.#server = server;
    for (const stream of [server.stdout!, server.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
  }

  static async start({ shape, mainCf = '', masterCf = '' }: InstanceOptions): Promise<TestInstance> {
    const directory = await mkdtemp(join(tmpdir(), 'postfleet-e2e-'));
    const configuration = join(directory, 'etc');
    await cp(join(ROOT, 'etc/postfleet'), configuration, { recursive: true });
    await append(join(configuration, 'main.cf'), mainCf.replaceAll('DIRECTORY', directory));
    await append(join(configuration, 'master.cf'), masterCf.replaceAll('DIRECTORY', directory));
    const port = await freePorts(PORTS);
    const words = ['start', '--var', join(directory, 'var'), '--port', String(port), '--config', configuration];
    if (shape === 'many processes') words.push('--processes');
    const server = spawn(process.execPath, [PROGRAM, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, TZ: 'UTC' },
    });
    const instance = new TestInstance(directory, port, server);
    try {
      await instance.until(() => instance.log.includes('Postfleet is up.'), START_LIMIT);
    } catch (error) {
      await instance[Symbol.asyncDispose]();
      throw error;
    }
    return instance;
  }

  /** Everything that it has written. */
  get log(): string {
    return this.#output;
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Waits for a condition; rejects with the log when the time is up, or the instance has ended. */
  async until(condition: () => boolean | Promise<boolean>, limit = WAIT_LIMIT): Promise<void> {
    const deadline = Date.now() + limit;
    while (!(await condition())) {
      if (this.#server.exitCode !== null) throw new Error(`the instance has ended:\n${this.#output}`);
      if (Date.now() > deadline) throw new Error(`the time is up:\n${this.#output}`);
      await sleep(20);
    }
  }

  /** Waits for a log line. */
  async logged(pattern: RegExp): Promise<string> {
    await this.until(() => pattern.test(this.#output));
    return pattern.exec(this.#output)![0];
  }

  /** Runs `postfleet COMMAND …` beside it, as a shell pipe would. */
  async command(argv: readonly string[], input: Buffer | string = ''): Promise<CommandResult> {
    const child = spawn(process.execPath, [PROGRAM, ...argv], {
      env: { PATH: process.env.PATH, TZ: 'UTC', POSTFLEET_VAR: this.path('var') },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // A command that ends before it has read everything says why by its status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.exitCode === null) {
      this.#server.kill('SIGTERM');
      await once(this.#server, 'exit');
    }
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function append(file: string, lines: string): Promise<void> {
  await writeFile(file, `${await readFile(file, 'utf8')}\n${lines}\n`);
}
