/**
 * The instance under test: started as its users start it, its processes found by what they are, killed and waited for.
 * What master supervises it starts again itself; the master, and the second qmgr that runs beside it, are started here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { until } from '../support/until.ts';
import { announced } from './announced.ts';
import { CODE, EXTENSION, type Shape } from './configuration.ts';
import { freePorts } from './ports.ts';
import { childrenOf, environmentOf, isAlive, treeOf } from './processes.ts';

/** Node's arguments for a command of postfleet. */
const POSTFLEET = ['--disable-warning=ExperimentalWarning', join(CODE, 'bin', `postfleet.${EXTENSION}`)];
/** Ports that an instance takes: five of its own, and one for the health of each service. */
const PORTS = 40;
/** Seconds for a start, or an end, of whatever it is. */
const START_LIMIT = 90;

/**
 * The kinds of processes that are killed, by shape: all that hold work in a run. Of those with several names in master.cf one
 * is: retry is the program of error, defer and trace are that of bounce.
 */
export const KINDS: Readonly<Record<Shape, readonly string[]>> = {
  one: ['master', 'nats-server', 'postgres', 'everything'],
  many: [
    'second qmgr',
    'smtpd',
    'anvil',
    'cleanup',
    'rewrite',
    'qmgr',
    'smtp',
    'virtual',
    'local',
    'error',
    'bounce',
    'showq',
    'pickup',
    'nats-server',
    'postgres',
    'master',
  ],
};

/** What the log of master says when a child has ended by itself, and not because it was killed. */
const CRASH = /"message":"(process \S+ ended: (?!signal SIGKILL)[^"]*)"/;

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

export interface FleetOptions {
  readonly directory: string;
  readonly configDirectory: string;
  /** The state directory; var/ of `directory` where it is left out. */
  readonly state?: string;
  readonly shape: Shape;
  /** Entries of master.cf. */
  readonly services: number;
  readonly environment?: Readonly<Record<string, string>>;
}

export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly port: number;
  readonly state: string;
  #master: ChildProcess | undefined;
  #secondQmgr: ChildProcess | undefined;
  #pool: pg.Pool | undefined;
  #stopping = false;
  /** A master that ended by itself. */
  #crashed: string | undefined;
  readonly #killAll = (): void => {
    for (const pid of this.#pids()) this.#signal(pid, 'SIGKILL');
  };

  private constructor(options: FleetOptions, port: number) {
    this.#options = options;
    this.port = port;
    this.state = options.state ?? join(options.directory, 'var');
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options, await freePorts(PORTS));
    mkdirSync(options.directory, { recursive: true });
    process.once('exit', fleet.#killAll);
    await fleet.#startMaster();
    return fleet;
  }

  get mailDirectory(): string {
    return join(this.state, 'mail');
  }

  /** Runs sendmail(1) with that input. Resolves to its exit status and what it says. */
  async sendmail(args: readonly string[], input: string): Promise<{ status: number | null; text: string }> {
    const child = spawn(process.execPath, [...POSTFLEET, 'sendmail', ...args], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...this.#options.environment, POSTFLEET_VAR: this.state },
    });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    // It may end before it has read everything.
    child.stdin.on('error', () => undefined).end(input, 'latin1');
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, text };
  }

  #spawn(args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
    const log = openSync(join(this.#options.directory, 'mail.log'), 'a');
    const child = spawn(process.execPath, [...POSTFLEET, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#options.environment, ...environment },
      detached: true,
    });
    closeSync(log);
    return child;
  }

  async #startMaster(): Promise<void> {
    const { shape, configDirectory, directory } = this.#options;
    const processes = shape === 'many' ? ['--processes'] : [];
    const where = ['--var', this.state, '--port', String(this.port), '--config', configDirectory];
    const child = this.#spawn(['start', ...processes, ...where], { POSTFLEET_VAR: this.state });
    this.#master = child;
    child.once('exit', (code, signal) => {
      if (!this.#stopping && signal !== 'SIGKILL')
        this.#crashed = `master ended by itself, ${signal ?? `status ${code}`}: see ${join(directory, 'mail.log')}`;
    });
    await until('postfleet', () => this.#isReady(), START_LIMIT);
  }

  /** Every process of the instance is up and would do its work. */
  async #isReady(): Promise<boolean> {
    this.assertAlive();
    if (!(await connects(this.port))) return false;
    if (this.#options.shape === 'one') return answers(`http://127.0.0.1:${this.port + 4}/readyz`);
    const services = this.#services();
    if (services.length < this.#options.services) return false;
    return (await Promise.all(services.map(({ pid }) => this.#serviceReady(pid)))).every(Boolean);
  }

  #services() {
    return childrenOf(this.#master?.pid ?? -1).filter(({ command }) => command.includes(' --service '));
  }

  async #serviceReady(pid: number): Promise<boolean> {
    const listen = environmentOf(pid, 'POSTFLEET_HTTP_LISTEN');
    return listen !== undefined && (listen === '' || (await answers(`http://${listen}/readyz`)));
  }

  /** Throws where the master has ended by itself. */
  assertAlive(): void {
    if (this.#crashed !== undefined) throw new Error(this.#crashed);
  }

  /** Processes that ended by themselves, as master's log has it. */
  crashes(): string[] {
    const lines = readFileSync(join(this.#options.directory, 'mail.log'), 'utf8').split('\n');
    return lines.flatMap((line) => CRASH.exec(line)?.[1] ?? []);
  }

  /** The process of a kind as it is at the moment. */
  pid(kind: string): number | undefined {
    this.assertAlive();
    if (kind === 'master' || kind === 'everything') return this.#alive(this.#master);
    if (kind === 'second qmgr') return this.#alive(this.#secondQmgr);
    const master = this.#alive(this.#master);
    if (master === undefined) return undefined;
    const mark =
      kind === 'nats-server'
        ? /nats-server -c/
        : kind === 'postgres'
          ? /\/postgres -D/
          : kind === 'smtpd'
            ? / --service smtp\/inet/
            : new RegExp(` --service ${kind}/unix`);
    return childrenOf(master).find(({ command }) => mark.test(command))?.pid;
  }

  #alive(child: ChildProcess | undefined): number | undefined {
    return child?.pid !== undefined && isAlive(child.pid) ? child.pid : undefined;
  }

  #signal(pid: number, signal: NodeJS.Signals): void {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }

  #pids(): number[] {
    return [this.#alive(this.#master), this.#alive(this.#secondQmgr)].flatMap((root) =>
      root === undefined ? [] : treeOf(root),
    );
  }

  /** Stops every process where it stands: nothing more is written. */
  freeze(): number[] {
    const pids = this.#pids();
    for (const pid of pids) this.#signal(pid, 'SIGSTOP');
    return pids;
  }

  /** SIGKILL for all, and no start after that. */
  async killForGood(): Promise<void> {
    this.#stopping = true;
    const pids = this.#pids();
    for (const pid of pids) this.#signal(pid, 'SIGKILL');
    await this.#pool?.end().catch(() => undefined);
    this.#pool = undefined;
    await until('the end of all processes', () => pids.every((pid) => !isAlive(pid)), START_LIMIT);
    process.off('exit', this.#killAll);
  }

  /** Kills a process of that kind; undefined where there is none at the moment. */
  kill(kind: string): number | undefined {
    const pid = this.pid(kind);
    if (pid === undefined) return undefined;
    for (const victim of kind === 'everything' ? this.#pids() : [pid]) this.#signal(victim, 'SIGKILL');
    return pid;
  }

  /** Resolves when another process has taken the place of the one that was killed. `pause`: of who starts a master again. */
  async back(kind: string, killed: number, pause: number): Promise<void> {
    if (kind === 'master' || kind === 'everything') {
      await until('the end of master', () => !isAlive(killed), START_LIMIT);
      await delay(pause);
      await this.#startMaster();
      if (this.#secondQmgr !== undefined && this.#alive(this.#secondQmgr) === undefined) this.startSecondQmgr();
      return;
    }
    if (kind === 'second qmgr') {
      this.startSecondQmgr();
      return;
    }
    await until(
      `another ${kind}`,
      async () => {
        // The master may be killed meanwhile; then its start starts everything.
        const pid = this.pid(kind);
        if (pid === undefined || pid === killed) return false;
        if (kind === 'nats-server') return connects(this.port + 1);
        if (kind === 'postgres') return this.#databaseAnswers();
        return this.#serviceReady(pid);
      },
      START_LIMIT,
    );
  }

  async #databaseAnswers(): Promise<boolean> {
    try {
      await this.query('select 1');
      return true;
    } catch {
      return false;
    }
  }

  /** Where NATS is, with the password. */
  get natsUrl(): string {
    return announced(this.state).parameters.postfleet_nats_url!;
  }

  /** The environment that master gives to its services. */
  #serviceEnvironment(): Record<string, string> {
    const { configDirectory, parameters } = announced(this.state);
    return {
      MAIL_CONFIG: configDirectory,
      ...Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), value])),
    };
  }

  startSecondQmgr(): void {
    this.#secondQmgr = this.#spawn(['qmgr', '--service', 'qmgr/unix'], {
      ...this.#serviceEnvironment(),
      POSTFLEET_HTTP_LISTEN: '',
    });
  }

  /** Owners of shards are named after their process. */
  async shardOwners(): Promise<{ shard: number; owner: string; held: boolean }[]> {
    return this.query(
      `select shard, coalesce(owner, '') as owner, lease_until > now() as held from shard order by shard`,
    );
  }

  /** By queue id: when qmgr first logged that the message was finished. */
  removed(): Map<string, number> {
    const removed = new Map<string, number>();
    for (const line of readFileSync(join(this.#options.directory, 'mail.log'), 'utf8').split('\n')) {
      const match = /^{"time":"([^"]+)".*"program":"postfix\/qmgr".*"message":"(\w+): removed"}$/.exec(line);
      if (match !== null && !removed.has(match[2]!)) removed.set(match[2]!, Date.parse(match[1]!));
    }
    return removed;
  }

  async query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    if (this.#pool === undefined) {
      const connectionString = this.#serviceEnvironment().POSTFLEET_POSTGRES_URL;
      this.#pool = new pg.Pool({ connectionString, max: 2, connectionTimeoutMillis: 3000 });
      this.#pool.on('error', () => undefined);
    }
    return (await this.#pool.query<Row>(text)).rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#pool?.end().catch(() => undefined);
    const roots = [this.#secondQmgr, this.#master].flatMap((child) => this.#alive(child) ?? []);
    for (const pid of roots) this.#signal(pid, 'SIGTERM');
    await until('the end of postfleet', () => roots.every((pid) => !isAlive(pid))).catch(this.#killAll);
    process.off('exit', this.#killAll);
  }
}
