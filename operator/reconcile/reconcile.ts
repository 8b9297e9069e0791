/**
 * Brings the world of one MailServer to what its spec says, as far as it can be brought at this moment, and writes down in
 * its status what was found. The steps, each of which may end the pass:
 *
 *   check        what is wrong in the spec keeps the last good one in force (check.ts of lib/mailserver)
 *   references   Secrets and ConfigMaps that it names
 *   streams      in JetStream; how many copies
 *   plan         all children, by pure functions (operator/plan)
 *   shared       the configuration that services read without a restart, and the news of it to the pods
 *   migration    the tables of Postgres, by a Job with the services' image
 *   tables       rows of lookup tables
 *   roll-out     one Deployment at a time (rollout.ts)
 *   acceptance   whether the services take the configuration; one that they refuse gives way to the last good one
 *   leftovers    children that the spec no longer asks for
 *
 * Everything is asked for again in the next pass; nothing is remembered but what spares work.
 */
import { type Checked, checkMailServer, type Problem, refusal } from '../../lib/mailserver/check.ts';
import { trustingLoopback } from '../../lib/mailserver/relay-problems.ts';
import type { MailServerStatus, ServiceStatus } from '../../lib/mailserver/status.ts';
import { flushAll } from '../../lib/queue/flush-all.ts';
import { seenDurability } from '../../lib/server/durability.ts';
import { FatalError } from '../../lib/util/errors.ts';
import type { OperatorContext } from '../context.ts';
import { configurationHash } from '../plan/config-map.ts';
import { keepingReplicas } from '../plan/deployment.ts';
import { contentHash } from '../plan/hash.ts';
import { type Child, childName, type Owner, type PlanInput, rpcSecretName } from '../plan/input.ts';
import { lastGood, lastGoodName, readLastGood } from '../plan/last-good.ts';
import { MIGRATION_LABEL } from '../plan/migration-job.ts';
import { allChildren, type Plan, plan } from '../plan/plan.ts';
import { authoritySecretName } from '../plan/rpc-secret.ts';
import { ApiError } from '../runtime/api-client.ts';
import { type KubeObject, keyOf } from '../runtime/kinds.ts';
import { AcceptanceWatch, type AskPod } from './acceptance.ts';
import { Applier } from './apply.ts';
import { type Findings, problemText } from './conditions.ts';
import { addFinalizer, endMail, endPods, FINALIZER, removeFinalizer } from './finalize.ts';
import { fleetSecrets } from './fleet-secret.ts';
import { flushMark } from './flush-mark.ts';
import { tellPods } from './pod-news.ts';
import { type QueueSeen, watchQueue } from './queue-watch.ts';
import { MissingReference, ReferenceReader, type References } from './references.ts';
import { type Decision, decide } from './rollout.ts';
import { sharedStores } from './shared-stores.ts';
import { forgetMetrics, writeStatus } from './status.ts';
import { asking, StoreAway } from './store-connections.ts';
import { incomingSequences, keepStreams, type StreamsSeen } from './streams.ts';
import { TableLoader, tableFiles } from './tables.ts';

export const ANNOTATIONS = {
  paused: 'postfleet.dev/paused',
  restart: 'postfleet.dev/restart',
  flush: 'postfleet.dev/flush',
} as const;

/** How soon a pass that waits for something that tells nobody comes again. */
const SOON_MS = 2000;

/** The same for what somebody has to cure; changes of what it names are told. */
const BLOCKED_MS = 5000;
/** The same for stores that are away while their mail is to be deleted. */
const DELETION_RETRY_MS = 10_000;
/** An object that is wrong, or rights that are missing: a podTemplate may ask for anything. */
const REFUSALS = new Set([400, 403, 422]);

/** What a pass has come to; each step adds to it. */
interface Pass {
  readonly mailServer: KubeObject;
  readonly owner: Owner;
  readonly problems: Problem[];
  readonly warnings: string[];
  checked: Checked | undefined;
  blocked: Findings['blocked'];
  progress: string;
  stuck: readonly string[];
  streams: StreamsSeen | undefined;
  queue: QueueSeen | undefined;
  queueProblem: string;
  log: 'fsync' | 'weak' | 'unknown' | undefined;
  hash: string;
  flushed: string;
}

export class Reconciler {
  readonly #context: OperatorContext;
  readonly #applier: Applier;
  readonly #references: ReferenceReader;
  readonly #tables = new TableLoader();
  readonly #acceptance: AcceptanceWatch;
  /** Specs that services have refused, by MailServer: their hash, and what was said. */
  readonly #refused = new Map<string, { readonly hash: string; readonly problem: Problem }>();

  constructor(context: OperatorContext, ask?: AskPod) {
    this.#context = context;
    this.#acceptance = new AcceptanceWatch(ask);
    this.#applier = new Applier(context);
    this.#references = new ReferenceReader(context);
  }

  /** One pass; resolves to the milliseconds after which the next one is due. */
  async reconcile(key: string): Promise<number | undefined> {
    try {
      return await this.#pass(key);
    } catch (error) {
      // It ended during the pass; the news of that is on its way.
      if (error instanceof ApiError && error.status === 404 && error.message.startsWith('mailservers.'))
        return undefined;
      throw error;
    }
  }

  async #pass(key: string): Promise<number | undefined> {
    const [namespace = '', name = ''] = key.split('/');
    const mailServer = this.#context.cluster.mailServer(namespace, name);
    if (mailServer === undefined) {
      await this.#forget(key);
      return undefined;
    }
    const owner = { namespace, name, uid: mailServer.metadata.uid ?? '' };
    if (mailServer.metadata.deletionTimestamp !== undefined) return this.#finalize(mailServer, owner);
    const before = (mailServer.status ?? {}) as MailServerStatus;
    const pass: Pass = {
      mailServer,
      owner,
      problems: [],
      warnings: [],
      checked: undefined,
      blocked: undefined,
      progress: '',
      stuck: [],
      streams: undefined,
      queue: undefined,
      queueProblem: '',
      log: undefined,
      hash: before.configuration?.hash ?? '',
      flushed: before.flushed ?? '',
    };
    const paused = mailServer.metadata.annotations?.[ANNOTATIONS.paused] === 'true';
    this.#check(pass);
    try {
      if (!paused) await this.#bring(pass);
    } catch (error) {
      this.#block(pass, error);
    }
    await this.#report(pass, paused, before);
    const { resyncMs } = this.#context.settings;
    if (pass.blocked !== undefined || pass.stuck.length > 0) return Math.min(BLOCKED_MS, resyncMs);
    return pass.progress === '' ? resyncMs : Math.min(SOON_MS, resyncMs);
  }

  async #forget(key: string): Promise<void> {
    this.#tables.forget(key);
    this.#acceptance.forget(key);
    this.#refused.delete(key);
    await this.#context.stores.release(key);
    const [namespace = '', name = ''] = key.split('/');
    forgetMetrics(this.#context.metrics, namespace, name);
  }

  /** What is known to be somebody's business to cure becomes part of the status; anything else is an error of the pass. */
  #block(pass: Pass, error: unknown): void {
    if (error instanceof MissingReference)
      pass.blocked = { reason: 'ReferenceMissing', message: error.message, degraded: true };
    else if (error instanceof StoreAway)
      pass.blocked = { reason: 'StoresAway', message: error.message, degraded: true };
    else if (error instanceof FatalError)
      pass.blocked = { reason: 'StoresWrong', message: error.message, degraded: true };
    else if (error instanceof ApiError && REFUSALS.has(error.status))
      pass.blocked = { reason: 'Refused', message: `the API server refused: ${error.message}`, degraded: true };
    else throw error;
  }

  /** Checks the spec; where it has errors, goes on with the last one that had none. */
  #check(pass: Pass): void {
    const { mailServer, owner, problems } = pass;
    const { cluster, settings } = this.#context;
    const clusterNetworks = [...settings.clusterNetworks, ...cluster.networks(owner.namespace)];
    const { problems: found, checked } = checkMailServer(mailServer, { clusterNetworks });
    problems.push(...found, ...sharedStores(mailServer, [...cluster.mailServers()]));
    const refused = this.#refused.get(keyOf(mailServer));
    if (refused?.hash === contentHash(mailServer.spec)) problems.push(refused.problem);
    if (isCorrect(problems)) {
      pass.checked = checked;
      return;
    }
    const spec = readLastGood(cluster.child('ConfigMap', owner.namespace, lastGoodName(owner)));
    // What was refused by the services of a fleet that was never well is all that there is.
    if (spec === undefined) pass.checked = refused === undefined ? undefined : checked;
    else pass.checked = this.#lastGood(pass, spec, clusterNetworks);
  }

  /** The last good spec, which nodes that have joined since may have made an open relay: then it trusts loopback alone. */
  #lastGood({ mailServer, warnings }: Pass, spec: unknown, clusterNetworks: readonly string[]): Checked | undefined {
    const { checked } = checkMailServer({ ...mailServer, spec }, { clusterNetworks });
    if (checked !== undefined) return checked;
    const closed = checkMailServer({ ...mailServer, spec: trustingLoopback(spec) }, { clusterNetworks });
    if (closed.checked !== undefined)
      warnings.push('mynetworks: the last good one would be an open relay: services run with loopback alone');
    return closed.checked;
  }

  async #bring(pass: Pass): Promise<void> {
    const { owner, mailServer, checked } = pass;
    if (checked === undefined) return;
    const { spec } = checked;
    await addFinalizer(this.#context, mailServer);
    const references = await this.#references.read(owner, spec);
    const key = keyOf(mailServer);
    const nats = await this.#context.stores.nats(key, references.natsUrl, references.postgresUrl);
    const { shards, replicas, streamBytes } = spec.nats;
    pass.streams = await asking('NATS', () => keepStreams(nats, { shards, replicas, maxBytes: streamBytes }));
    pass.log = await seenDurability(spec.nats.monitorUrl ?? '');
    const input = this.#planInput(pass, checked, references, pass.streams);
    const wanted = plan(input);
    await this.#shared(pass, input, wanted);
    if (!(await this.#migrated(pass, wanted.migration))) return;
    await this.#stores(pass, checked, references);
    await this.#rollOut(pass, wanted);
    if (!(await this.#accepted(pass, checked))) return;
    await this.#removeLeftovers(pass, wanted);
  }

  #planInput(pass: Pass, checked: Checked, references: References, streams: StreamsSeen): PlanInput {
    const { settings } = this.#context;
    return {
      owner: pass.owner,
      checked,
      image: settings.image,
      imagePullPolicy: settings.imagePullPolicy,
      clusterDomain: settings.clusterDomain,
      streamReplicas: streams.replicas,
      storesHash: references.storesHash,
      restart: pass.mailServer.metadata.annotations?.[ANNOTATIONS.restart] ?? '',
      ...tableFiles(checked.spec, references.tables),
    };
  }

  async #shared(pass: Pass, input: PlanInput, { shared }: Plan): Promise<void> {
    for (const secret of await fleetSecrets(this.#context, pass.owner)) await this.#applier.apply(secret);
    for (const child of shared) await this.#applier.apply(child);
    const before = pass.hash;
    pass.hash = configurationHash(input);
    const told = await tellPods(this.#context, pass.owner, pass.hash);
    if (before !== pass.hash)
      this.#context.log.info(`${keyOf(pass.mailServer)}: configuration ${pass.hash}: told ${told} pods`);
  }

  /** Runs the migration; false while it is not done. */
  async #migrated(pass: Pass, migration: Child): Promise<boolean> {
    const { namespace, name } = migration.metadata;
    await this.#applier.apply(migration);
    const job = this.#context.cluster.job(namespace, name);
    if ((job?.status?.succeeded ?? 0) > 0) return true;
    const failed = (job?.status?.conditions ?? []).find(({ type, status }) => type === 'Failed' && status === 'True');
    if (failed !== undefined) {
      const message = `the Job ${name} failed: ${failed.message ?? ''}; see kubectl logs job/${name}, then delete the Job`;
      pass.blocked = { reason: 'MigrationFailed', message, degraded: true };
    } else pass.progress = `the Job ${name} makes the tables`;
    return false;
  }

  /** Lookup tables, the state of the queue, and a flush that was asked for. */
  async #stores(pass: Pass, { spec }: Checked, references: References): Promise<void> {
    const key = keyOf(pass.mailServer);
    const { natsUrl, postgresUrl } = references;
    const pool = await this.#context.stores.postgres(key, natsUrl, postgresUrl);
    const nats = await this.#context.stores.nats(key, natsUrl, postgresUrl);
    const { shards } = spec.nats;
    const sequences = await asking('NATS', () => incomingSequences(nats, shards));
    await asking('Postgres', async () => {
      pass.problems.push(...(await this.#tables.load(key, postgresUrl, pool, spec, references.tables)));
      pass.queue = await watchQueue(pool, shards, sequences);
      const flush = flushMark(pass.mailServer.metadata.annotations?.[ANNOTATIONS.flush] ?? '');
      if (flush === '' || flush === pass.flushed) return;
      const count = await flushAll(pool, this.#context.signal);
      pass.flushed = flush;
      await this.#context.events.record(
        pass.owner,
        'Normal',
        'Flushed',
        `${count} deferred recipients are due`,
        'Flush',
      );
    });
  }

  async #rollOut(pass: Pass, { processes }: Plan): Promise<void> {
    for (const { others } of processes) for (const child of others) await this.#applier.apply(child);
    const { namespace } = pass.owner;
    const steps = processes.map(({ deployment: planned, process }) => {
      const live = this.#context.cluster.deployment(namespace, planned.metadata.name);
      const deployment = keepingReplicas(planned, process, live);
      const asPlanned = this.#applier.isAsPlanned(deployment);
      return {
        deployment,
        live,
        asPlanned,
        worksQueue: process.services.some(({ daemon }) => daemon.kind === 'queue'),
      };
    });
    const decision = decide(steps, pass.queue?.owned ?? false);
    for (const deployment of decision.apply) await this.#roll(pass, deployment);
    pass.stuck = decision.stuck;
    pass.progress = progressText(decision);
  }

  /**
   * Asks the services about the configuration. One that they refuse is an error of the spec, and the next pass goes back to
   * the last good one; one that all have taken, with nothing left to roll out, is the last good one. False while that is open.
   */
  async #accepted(pass: Pass, checked: Checked): Promise<boolean> {
    const { mailServer, owner } = pass;
    const key = keyOf(mailServer);
    const pods = this.#context.cluster.pods(owner.namespace, owner.name);
    const acceptance = await this.#acceptance.look(key, pods, checked);
    if (!isCorrect(pass.problems)) return true;
    if (acceptance.verdict === 'refused') {
      const problem = refusal(checked.spec, acceptance.reason);
      this.#refused.set(key, { hash: contentHash(mailServer.spec), problem });
      pass.problems.push(problem);
      if (this.#context.cluster.child('ConfigMap', owner.namespace, lastGoodName(owner)) !== undefined)
        pass.progress = 'going back to the last good configuration';
      return false;
    }
    if (acceptance.verdict === 'open' && pass.progress === '')
      pass.progress = `reading the configuration: ${acceptance.waiting.join(', ')}`;
    if (pass.progress !== '' || pass.stuck.length > 0) return false;
    await this.#applier.apply(lastGood(owner, mailServer.spec));
    return true;
  }

  async #roll(pass: Pass, deployment: Child): Promise<void> {
    const isNew = this.#applier.live(deployment) === undefined;
    if (!(await this.#applier.apply(deployment))) return;
    const { name } = deployment.metadata;
    await this.#context.events.record(
      pass.owner,
      'Normal',
      isNew ? 'Created' : 'RollingOut',
      `Deployment ${name} ${isNew ? 'is made' : 'is brought up to date'}`,
    );
  }

  /** Children of an earlier spec, once everything that takes their place is there. */
  async #removeLeftovers(pass: Pass, wanted: Plan): Promise<void> {
    if (pass.progress !== '' || pass.stuck.length > 0) return;
    const { namespace, name } = pass.owner;
    const kept = new Set(allChildren(wanted).map(({ kind, metadata }) => `${kind}/${metadata.name}`));
    for (const own of [lastGoodName(pass.owner), rpcSecretName(pass.owner), authoritySecretName(pass.owner)])
      kept.add(`ConfigMap/${own}`).add(`Secret/${own}`);
    for (const child of this.#context.cluster.children(namespace, name)) {
      const { kind, metadata } = child;
      if (kept.has(`${kind}/${metadata.name}`) || metadata.deletionTimestamp !== undefined) continue;
      // Mailboxes are deleted with the MailServer, and only where it says so.
      if (kind === 'PersistentVolumeClaim') continue;
      await this.#applier.delete(child);
      if (metadata.labels?.[MIGRATION_LABEL] === undefined)
        await this.#context.events.record(
          pass.owner,
          'Normal',
          'Removed',
          `${kind} ${metadata.name} is not needed any more`,
        );
    }
  }

  #services({ owner, checked }: Pass): ServiceStatus[] {
    return (checked?.fleet.processes ?? []).flatMap((process) => {
      const deployment = childName(owner, process.name);
      const live = this.#context.cluster.deployment(owner.namespace, deployment);
      if (live === undefined) return [];
      const { replicas = 0, readyReplicas: ready = 0, updatedReplicas: updated = 0 } = live.status ?? {};
      const desired = live.spec?.replicas ?? process.replicas ?? 0;
      return process.services.map(({ name, entry }) => ({
        name,
        daemon: entry.command,
        deployment,
        desired,
        replicas,
        ready,
        updated,
      }));
    });
  }

  #addresses({ owner, checked }: Pass): string[] {
    const service = this.#context.cluster.child('Service', owner.namespace, owner.name) as
      | {
          spec?: { clusterIPs?: string[] };
          status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
        }
      | undefined;
    if (checked?.spec.ingress.type !== 'LoadBalancer') return service?.spec?.clusterIPs ?? [];
    return (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []);
  }

  #warnings({ log, checked, streams, warnings }: Pass): string[] {
    const found = [...warnings];
    if (log === 'unknown')
      found.push(
        'durability: whether NATS syncs every write is unknown; set spec.nats.monitorUrl to its monitoring port',
      );
    if (log === 'weak')
      found.push(
        'durability: NATS does not sync every write (sync_interval is not "always"): accepted mail can be lost',
      );
    if (checked?.spec.durability.allowWeak === true)
      found.push('durability: spec.durability.allowWeak lets services start without a safe log');
    if (streams !== undefined && streams.servers >= 3 && streams.replicas < 3)
      found.push(
        `durability: each stream has ${streams.replicas} copy, and NATS has ${streams.servers} servers; set spec.nats.replicas to 3`,
      );
    return found;
  }

  async #report(pass: Pass, paused: boolean, before: MailServerStatus): Promise<void> {
    const { mailServer, checked, streams, queue, log, blocked } = pass;
    const generation = mailServer.metadata.generation ?? 0;
    const away =
      blocked?.reason === 'StoresAway' ? { well: false, reason: blocked.reason, message: blocked.message } : undefined;
    const findings: Findings = {
      generation,
      problems: pass.problems,
      paused,
      blocked,
      services: this.#services(pass),
      progress: pass.progress,
      stuck: pass.stuck,
      queue: queue ?? away,
      warnings: this.#warnings(pass),
    };
    const hostname = checked?.configuration.text('myhostname') ?? before.hostname;
    const problems = pass.problems.filter(({ severity }) => severity !== 'notice').map(problemText);
    const durability =
      streams === undefined
        ? before.durability
        : {
            log: log ?? 'unknown',
            servers: streams.servers,
            replicas: streams.replicas,
            postgres:
              queue === undefined
                ? ('unknown' as const)
                : queue.synchronous
                  ? ('synchronous' as const)
                  : ('asynchronous' as const),
          };
    await writeStatus(this.#context, mailServer, findings, {
      observedGeneration: generation,
      ...(hostname === undefined ? {} : { hostname }),
      services: findings.services as ServiceStatus[],
      ...(queue === undefined ? (before.queue === undefined ? {} : { queue: before.queue }) : { queue: queue.counts }),
      ...(durability === undefined ? {} : { durability }),
      ...(pass.hash === ''
        ? {}
        : {
            configuration: {
              hash: pass.hash,
              ...(problems.length === 0 ? {} : { problems: problems.slice(0, 50).map((one) => one.slice(0, 2048)) }),
            },
          }),
      ...(pass.flushed === '' ? {} : { flushed: pass.flushed }),
      addresses: this.#addresses(pass),
    });
  }

  async #finalize(mailServer: KubeObject, owner: Owner): Promise<number | undefined> {
    const key = keyOf(mailServer);
    if (mailServer.metadata.finalizers?.includes(FINALIZER) !== true) return undefined;
    const { checked } = checkMailServer(mailServer, { clusterNetworks: [] });
    const good = readLastGood(this.#context.cluster.child('ConfigMap', owner.namespace, lastGoodName(owner)));
    const spec = checked?.spec ?? checkMailServer({ ...mailServer, spec: good }, { clusterNetworks: [] }).checked?.spec;
    const policy = (mailServer.spec as { deletionPolicy?: string } | undefined)?.deletionPolicy;
    if (policy === 'Delete' && spec !== undefined) {
      if (!(await endPods(this.#context, owner))) return SOON_MS;
      const references = () => this.#references.read(owner, spec);
      if (!(await endMail(this.#context, mailServer, owner, spec, references))) return DELETION_RETRY_MS;
    }
    await removeFinalizer(this.#context, mailServer);
    await this.#forget(key);
    return undefined;
  }
}

const isCorrect = (problems: readonly Problem[]): boolean => problems.every(({ severity }) => severity !== 'error');

function progressText({ apply, waiting, settling }: Decision): string {
  const parts = [
    ...(apply.length === 0 ? [] : [`made or changed: ${apply.map(({ metadata }) => metadata.name).join(', ')}`]),
    ...(settling.length === 0 ? [] : [`becoming ready: ${settling.join(', ')}`]),
    ...(waiting.length === 0 ? [] : [`waiting for their turn: ${waiting.join(', ')}`]),
  ];
  return parts.join('; ');
}
