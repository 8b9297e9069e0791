/**
 * What was answered with 250 is on the disk: all state of an instance lies on ext4 in a file behind a loop device; under load
 * every process is stopped at once (SIGSTOP), the file is copied as it is, the copy is mounted, which replays its journal,
 * and an instance is started on it. Everything that was accepted has to arrive.
 *
 * Nothing is synced for the copy: what lies only in the page cache of the mounted filesystem has not reached the loop device,
 * so it is not in the file and is missing in the copy, as after a power failure. The filesystem's own counter of written
 * sectors must be the same before and after copying, or the copy is made again: it is of one instant. The load begins right
 * after a sync and lasts for less than the 30 seconds after which Linux writes dirty pages by itself.
 *
 * The same with a NATS server that syncs every ten minutes has to lose mail: else the test could not see a loss.
 *
 * Needs root and loop devices; without them it says so and is skipped.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Arrivals, outstanding } from './arrivals.ts';
import {
  BOX,
  BOX_DOMAIN,
  HELD_DOMAIN,
  SENDER_BOX,
  SENDER_DOMAIN,
  sinkDomain,
  writeConfiguration,
} from './configuration.ts';
import { Fleet } from './fleet.ts';
import { Load } from './load.ts';
import { Mailbox } from './mailboxes.ts';
import type { Message } from './messages.ts';
import type { Random } from './random.ts';
import { Sink } from './sink.ts';

const execute = promisify(execFile);

export interface DiskOptions {
  readonly directory: string;
  readonly random: Random;
  readonly messages: number;
  readonly say: (line: string) => void;
}

const IMAGE_SIZE = 2 * 1024 ** 3;
const SINKS = 2;
const SESSIONS = 8;
/** Seconds of load until everything stops. */
const LOAD_TIME = 8;
const ARRIVAL_LIMIT = 120_000;
/** Milliseconds without an arrival after which nothing more is expected. */
const QUIET = 20_000;

class Image implements AsyncDisposable {
  readonly #file: string;
  readonly #mountPoint: string;

  readonly #forget = (): void => void spawnSync('umount', ['-l', this.#mountPoint]);

  private constructor(file: string, mountPoint: string) {
    this.#file = file;
    this.#mountPoint = mountPoint;
    process.once('exit', this.#forget);
  }

  /** Makes the filesystem, with all its tables written, so that the kernel has nothing left to do in the background. */
  static async make(file: string): Promise<void> {
    writeFileSync(file, '');
    truncateSync(file, IMAGE_SIZE);
    await execute('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', file]);
  }

  static async mount(file: string, mountPoint: string): Promise<Image> {
    mkdirSync(mountPoint, { recursive: true });
    await execute('mount', ['-o', 'loop,noatime', file, mountPoint]);
    return new Image(file, mountPoint);
  }

  async sync(): Promise<void> {
    await execute('sync', ['-f', this.#mountPoint]);
  }

  async #sectorsWritten(): Promise<string> {
    const { stdout } = await execute('losetup', ['-j', this.#file, '-O', 'NAME', '-n']);
    const device = basename(stdout.trim());
    return readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/)[6] ?? '';
  }

  /** Copies the file behind the device as it is at one instant, while the filesystem is mounted. */
  async copy(to: string): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      const before = await this.#sectorsWritten();
      await execute('cp', ['--sparse=always', this.#file, to]);
      if ((await this.#sectorsWritten()) === before) return;
    }
    throw new Error('the filesystem was written to during each copy');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await execute('umount', [this.#mountPoint]).catch(() => execute('umount', ['-l', this.#mountPoint]));
    process.off('exit', this.#forget);
  }
}

/** Why loop devices cannot be had; undefined where they can. */
async function whyNot(directory: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root may mount';
  const file = join(directory, 'probe.img');
  const mountPoint = join(directory, 'probe');
  try {
    writeFileSync(file, '');
    truncateSync(file, 16 * 1024 ** 2);
    await execute('mkfs.ext4', ['-q', '-F', file]);
    await using _ = await Image.mount(file, mountPoint);
    return undefined;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split('\n').slice(0, 2).join(': ');
  } finally {
    rmSync(file, { force: true });
  }
}

/** Half of it waits in the queue, the rest is delivered while the load goes on. */
function makeMessages(count: number, random: Random): Message[] {
  return Array.from({ length: count }, (_, at) => {
    const id = `k${String(at).padStart(6, '0')}`;
    const domain = random.pick([HELD_DOMAIN, HELD_DOMAIN, sinkDomain(random.below(SINKS)), BOX_DOMAIN]);
    return {
      id,
      sender: `s-${id}@${SENDER_DOMAIN}`,
      recipients: [`ok-${id}@${domain}`],
      size: random.chance(0.01) ? 300 * 1024 : 200 + random.below(4000),
    };
  });
}

interface Outcome {
  readonly accepted: number;
  readonly missing: number;
}

/** `environment` decides how durable the instance is. */
async function stopAndRead(
  { directory, random, messages, say }: DiskOptions,
  name: string,
  interval: string,
  environment: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const place = join(directory, `disk-${name}`);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  const [original, copy, mountPoint] = [join(place, 'disk.img'), join(place, 'copy.img'), join(place, 'disk')];
  await using images = new AsyncDisposableStack();
  for (const image of [original, copy]) images.defer(() => rmSync(image, { force: true }));
  const configDirectory = join(place, 'etc');
  const arrivals = new Arrivals();
  const end = new AbortController();
  await using sink = await Sink.start({
    ports: SINKS,
    random,
    slowness: 0,
    taken: (message) => arrivals.add(message),
    refused: () => undefined,
  });
  const state = join(mountPoint, 'var');
  const configure = (settings: string): number =>
    writeConfiguration(configDirectory, {
      shards: 1,
      sinkPorts: sink.ports,
      mailDirectory: join(state, 'mail'),
      settings,
    });
  const options = { directory: place, configDirectory, state, shape: 'one', environment } as const;

  await Image.make(original);
  let load: Load;
  {
    await using image = await Image.mount(original, mountPoint);
    const services = configure('defer_transports = held');
    await using fleet = await Fleet.start({ ...options, services });
    load = new Load({
      port: fleet.port,
      messages: makeMessages(messages, random),
      sessions: SESSIONS,
      rate: messages / LOAD_TIME,
      random,
      signal: end.signal,
    });
    await image.sync();
    const loading = load.run();
    await delay(LOAD_TIME * 1000);
    fleet.freeze();
    await image.copy(copy);
    end.abort();
    await loading;
    await fleet.killForGood();
  }
  const delivered = arrivals.done.size;
  say(
    `disk, sync_interval ${interval}: stopped with ${load.accepted.length} accepted, ${delivered} of them at the next hop`,
  );

  await using _image = await Image.mount(copy, mountPoint);
  await using fleet = await Fleet.start({ ...options, services: configure('') });
  const boxes = [BOX, SENDER_BOX].map((box) => new Mailbox(fleet.mailDirectory, box));
  let last = Date.now();
  for (
    const deadline = Date.now() + ARRIVAL_LIMIT;
    Date.now() < deadline && Date.now() - last < QUIET;
    await delay(200)
  ) {
    const before = arrivals.done.size;
    for (const box of boxes) for (const mail of box.fresh()) arrivals.add(mail);
    if (arrivals.done.size > before) last = Date.now();
    if (outstanding(load.accepted, arrivals) === 0) break;
  }
  return { accepted: load.accepted.length, missing: outstanding(load.accepted, arrivals) };
}

/** Runs both; resolves to whether they show what they have to. */
export async function disk(options: DiskOptions): Promise<boolean> {
  const { directory, say } = options;
  const why = await whyNot(directory);
  if (why !== undefined) {
    say(`disk: SKIPPED, loop devices cannot be had here: ${why}`);
    return true;
  }
  const synced = await stopAndRead(options, 'synced', 'always', {});
  say(`disk, sync_interval always: ${synced.accepted} accepted, ${synced.missing} missing in the copy (0 expected)`);
  const weak = await stopAndRead(options, 'weak', '10m', {
    POSTFLEET_NATS_SYNC_INTERVAL: '10m',
    POSTFLEET_WEAK_DURABILITY: 'yes',
  });
  say(`disk, sync_interval 10m: ${weak.accepted} accepted, ${weak.missing} missing in the copy (some expected)`);
  return synced.accepted > 0 && synced.missing === 0 && weak.missing > 0;
}
