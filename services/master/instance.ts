/**
 * One instance on one machine: its state directory, its ports, its secrets. Everything that other commands need to find
 * it stands in `run/instance.json`, readable by its owner alone.
 *
 *   nats/ postgres/  the stores          mail/    mailboxes
 *   secret/          passwords, token    run/     sockets, instance.json, output of the stores
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { EX, FatalError } from '../../lib/util/errors.ts';

export interface Ports {
  readonly smtp: number;
  readonly nats: number;
  readonly natsMonitor: number;
  readonly postgres: number;
  readonly http: number;
}

/** All ports follow the SMTP port. */
export const portsFrom = (smtp: number): Ports => ({
  smtp,
  nats: smtp + 1,
  natsMonitor: smtp + 2,
  postgres: smtp + 3,
  http: smtp + 4,
});

/** A socket's whole path must stay below this many octets. */
const SOCKET_PATH_LIMIT = 100;

export class Instance {
  readonly directory: string;
  readonly ports: Ports;
  readonly runDirectory: string;
  readonly socketDirectory: string;

  /** Makes the directories. Throws FatalError where it may not. */
  constructor(directory: string, smtpPort: number) {
    this.directory = resolve(directory);
    this.ports = portsFrom(smtpPort);
    this.runDirectory = join(this.directory, 'run');
    const longest = join(this.runDirectory, `${'x'.repeat(24)}.sock`);
    const hash = createHash('sha256').update(this.directory).digest('hex').slice(0, 12);
    this.socketDirectory = longest.length < SOCKET_PATH_LIMIT ? this.runDirectory : join(tmpdir(), `postfleet-${hash}`);
    try {
      mkdirSync(this.directory, { recursive: true });
      // Node says of a directory that cannot be made in a read-only file system that there is none.
      accessSync(this.directory, constants.W_OK);
      for (const path of [this.path('secret'), this.path('mail'), this.runDirectory, this.socketDirectory])
        mkdirSync(path, { recursive: true });
      for (const path of [this.path('secret'), this.runDirectory, this.socketDirectory]) chmodSync(path, 0o700);
    } catch (error) {
      throw new FatalError(
        `state directory ${this.directory}: ${error instanceof Error ? error.message : String(error)}: choose another with VAR=`,
        { cause: error, exitCode: EX.CANTCREAT },
      );
    }
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** A secret of that name, made when it is first asked for. */
  secret(name: string): string {
    const path = this.secretPath(name);
    if (!existsSync(path)) {
      writeFileSync(`${path}.new`, randomBytes(24).toString('hex'), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    }
    return readFileSync(path, 'utf8').trim();
  }

  secretPath(name: string): string {
    return this.path('secret', name);
  }

  get rpcAddress(): string {
    return `unix:${join(this.socketDirectory, '{service}.sock')}`;
  }

  /** Tells other commands where everything is. */
  announce(parameters: Readonly<Record<string, string>>, configDirectory: string): void {
    const path = join(this.runDirectory, 'instance.json');
    writeFileSync(
      path,
      `${JSON.stringify({ pid: process.pid, configDirectory: resolve(configDirectory), parameters }, null, 2)}\n`,
      { mode: 0o600 },
    );
  }

  retract(): void {
    rmSync(join(this.runDirectory, 'instance.json'), { force: true });
  }
}
