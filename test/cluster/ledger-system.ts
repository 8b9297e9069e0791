/**
 * A MailServer under load, and the ledger of it (test/faults): what scenarios that shake a fleet have in common. Operator, stores,
 * MailServer, load and sink are in the namespace of the scenario.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { BOX, BOX_DOMAIN, SENDER_DOMAIN, sinkDomain } from '../faults/configuration.ts';
import {
  balance,
  type Copy,
  type Kill,
  type Notice,
  passes,
  type Sent,
  summary,
  unitOf,
  type Verdict,
} from '../faults/ledger.ts';
import { type Arrival, fingerprintOf, isWhole, read } from '../faults/messages.ts';
import { type Kubectl, until } from './kubectl.ts';
import { type OwnNamespace, SERVER } from './own-namespace.ts';

const DOMAINS = 4;
const SINK_PORTS = [25, 1025, 1026, 1027];
const SESSIONS = 8;
const SEED = 20_261_122;
/** Seconds until everything that was accepted has arrived, after the last of what shook the fleet. */
const DRAIN_LIMIT = 180;

export type Spec = Record<string, unknown> & {
  readonly mainCf: Readonly<Record<string, string>>;
  readonly services: Readonly<Record<string, unknown>>;
};

/** The MailServer of a ledger: every fate of a message within seconds. `sink` is a host name or an address. */
function ledgerSpec(sink: string): Spec {
  const routes = SINK_PORTS.map((port, at) => `{ ${sinkDomain(at)} = smtp:[${sink}]:${port} }`);
  return {
    mainCf: {
      relay_domains: [...SINK_PORTS.map((_, at) => sinkDomain(at)), SENDER_DOMAIN].join(' '),
      transport_maps: `inline:{ ${routes.join(', ')}, { ${SENDER_DOMAIN} = smtp:[${sink}]:${SINK_PORTS[0]} } }`,
      virtual_mailbox_domains: BOX_DOMAIN,
      virtual_mailbox_maps: `inline:{ @${BOX_DOMAIN}=${BOX}/ }`,
      virtual_mailbox_base: '/var/mail',
      smtpd_recipient_restrictions: 'reject_unauth_destination',
      postfleet_log_format: 'json',
      minimal_backoff_time: '2s',
      maximal_backoff_time: '4s',
      queue_run_delay: '2s',
      delay_warning_time: '0',
    },
    services: Object.fromEntries(
      ['smtpd', 'cleanup', 'rewrite', 'qmgr', 'smtp', 'bounce'].map((name) => [name, { replicas: 2 }]),
    ),
    ingress: { type: 'ClusterIP', ports: [{ service: 'smtp', port: 25 }] },
    mailStorage: { size: '1Gi' },
    deletionPolicy: 'Delete',
  };
}

export interface FleetOptions {
  /** Installs operator and development stores, where they are not those of this tree. */
  readonly install?: () => Promise<unknown>;
  /** Further stores. */
  readonly stores?: () => Promise<void>;
  /** Fields in place of those of the ledger's MailServer. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** An operator, stores, the sink and the MailServer of a ledger, ready. */
export async function startFleet(
  own: OwnNamespace,
  { install, stores, spec: fields = {} }: FleetOptions = {},
): Promise<Spec> {
  const { kubectl } = own;
  await (install?.() ?? own.install());
  await stores?.();
  await kubectl.apply('ledger-sink.yaml');
  await kubectl.ready('deployment/sink');
  const spec = { ...ledgerSpec(await sinkAddress(kubectl)), ...fields };
  await own.serve(spec);
  await untilReady(kubectl);
  return spec;
}

/** Merges into the spec, as `kubectl patch --type merge` does. */
export async function patchMailServer(kubectl: Kubectl, spec: Readonly<Record<string, unknown>>): Promise<void> {
  await kubectl.run(['patch', 'mailserver', SERVER, '--type', 'merge', '--patch', JSON.stringify({ spec })]);
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** A condition of the MailServer; undefined where it speaks of an earlier generation. */
export async function conditionOf(kubectl: Kubectl, type: string): Promise<Condition | undefined> {
  const { metadata, status } = JSON.parse(await kubectl.run(['get', 'mailserver', SERVER, '--output', 'json'])) as {
    metadata: { generation: number };
    status?: { conditions?: Condition[] };
  };
  const found = status?.conditions?.find((condition) => condition.type === type);
  return found?.observedGeneration === metadata.generation ? found : undefined;
}

/** Until the present generation is in force everywhere. */
export async function untilReady(kubectl: Kubectl, seconds = 300): Promise<void> {
  await until('a MailServer that is ready', seconds, async () => {
    const [ready, progressing] = await Promise.all([
      conditionOf(kubectl, 'Ready'),
      conditionOf(kubectl, 'Progressing'),
    ]);
    return ready?.status === 'True' && progressing?.status === 'False';
  });
}

export interface Replica {
  readonly uid: string;
  readonly restarts: number;
}

/** The service pods by their names. */
export async function replicas(kubectl: Kubectl): Promise<Map<string, Replica>> {
  const selector = `postfleet.dev/mailserver=${SERVER},postfleet.dev/service`;
  const { items } = JSON.parse(await kubectl.run(['get', 'pods', '--selector', selector, '--output', 'json'])) as {
    items: {
      metadata: { name: string; uid: string };
      status: { containerStatuses?: { restartCount: number }[] };
    }[];
  };
  return new Map(
    items.map(({ metadata, status }) => [
      metadata.name,
      { uid: metadata.uid, restarts: status.containerStatuses?.[0]?.restartCount ?? 0 },
    ]),
  );
}

/** The address of a Service: a client of it needs no name server. */
async function addressOf(kubectl: Kubectl, service: string): Promise<string> {
  return (await kubectl.run(['get', 'service', service, '--output', 'jsonpath={.spec.clusterIP}'])).trim();
}

export const sinkAddress = (kubectl: Kubectl): Promise<string> => addressOf(kubectl, 'sink');

interface Counts {
  readonly begun: number;
  readonly accepted: number;
  readonly waiting: number;
}

export interface Arrived {
  readonly copies: readonly Copy[];
  readonly notices: readonly Notice[];
}

/**
 * What the mailbox's pod prints of each message: what `read` wants of it, and when it was written. Whether it is whole is found
 * out there, by the functions of test/faults as they are: all bodies would be much to send for each look.
 */
const MAILBOX_SCRIPT = `
  const { createHash } = require('node:crypto');
  const { readdirSync, readFileSync, statSync, existsSync } = require('node:fs');
  const fingerprintOf = ${fingerprintOf};
  const isWhole = ${isWhole};
  const directory = '/var/mail/${BOX}/new/';
  const mails = (existsSync(directory) ? readdirSync(directory) : []).map((name) => {
    const content = readFileSync(directory + name, 'latin1');
    return {
      content: content.split('\\r\\n\\r\\n', 1)[0].split('\\n\\n', 1)[0],
      ended: Math.round(statSync(directory + name).mtimeMs),
      isWhole: isWhole(content),
    };
  });
  process.stdout.write(JSON.stringify(mails));`;

export class LoadedFleet {
  readonly kubectl: Kubectl;
  /** Milliseconds since 1970. */
  readonly began = Date.now();

  private constructor(kubectl: Kubectl) {
    this.kubectl = kubectl;
  }

  /** Begins to send. `rate`: messages per second. */
  static async begin(kubectl: Kubectl, rate: number): Promise<LoadedFleet> {
    const host = await addressOf(kubectl, SERVER);
    const values = { host, sessions: SESSIONS, rate, seed: SEED, domains: DOMAINS };
    await kubectl.apply('ledger-load.yaml', values);
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/load', '--timeout=60s']);
    const fleet = new LoadedFleet(kubectl);
    await fleet.flows('the first messages', rate, 90);
    return fleet;
  }

  async counts(): Promise<Counts> {
    return JSON.parse(await this.kubectl.get('load', '/counts')) as Counts;
  }

  /** Copies that have reached the sink. */
  async delivered(): Promise<number> {
    return (JSON.parse(await this.kubectl.get('sink', '/counts')) as { copies: number }).copies;
  }

  /** Waits until so many more have been accepted, and so many more have reached the sink. */
  async flows(what: string, count: number, seconds = 60): Promise<void> {
    let before: { accepted: number; delivered: number } | undefined;
    await until(`${what}: ${count} messages accepted and delivered`, seconds, async () => {
      const [{ accepted }, delivered] = await Promise.all([this.counts(), this.delivered()]);
      before ??= { accepted, delivered };
      return accepted >= before.accepted + count && delivered >= before.delivered + count;
    });
  }

  async arrived(): Promise<Arrived> {
    const { copies, notices } = JSON.parse(await this.kubectl.get('sink', '/arrivals')) as Arrived;
    const command = ['node', '-e', MAILBOX_SCRIPT];
    const mails = JSON.parse(await this.kubectl.exec(`deployment/${SERVER}-virtual`, command)) as Omit<
      Arrival,
      'recipients' | 'began'
    >[];
    const inBox = mails.map((mail) => {
      const { content, ended } = mail;
      const recipient = /^(?:X-Original-To|Delivered-To): (\S+)/m.exec(content)?.[1] ?? '';
      return read({ ...mail, began: ended, recipients: [recipient] });
    });
    return { copies: [...copies, ...inBox.flatMap((mail) => mail.copies)], notices };
  }

  async sent(): Promise<readonly Sent[]> {
    return JSON.parse(await this.kubectl.get('load', '/sent')) as Sent[];
  }

  /** Ends the load, waits for what is under way, and draws up the ledger. */
  async balance(kills: readonly Kill[] = [], removed: ReadonlyMap<string, number> = new Map()): Promise<Verdict> {
    await this.kubectl.get('load', '/stop');
    const sent = await this.sent();
    const wanted = sent
      .filter(({ attempts }) => attempts.some(({ code }) => code === 250))
      .flatMap(({ id, recipients }) => recipients.map((recipient) => unitOf(id, recipient)));
    let arrived: Arrived = { copies: [], notices: [] };
    // What has not come by then is lost: the ledger says which.
    await until('everything that was accepted', DRAIN_LIMIT, async () => {
      arrived = await this.arrived();
      const done = new Set([...arrived.copies, ...arrived.notices].map(({ id, recipient }) => unitOf(id, recipient)));
      return wanted.every((unit) => done.has(unit));
    }).catch(() => undefined);
    return balance({ sent, ...arrived, queued: new Set(), kills, removed });
  }
}

/** Says what the ledger comes to, and fails where something was lost or arrived twice for no reason. */
export function assertBalanced(t: TestContext, verdict: Verdict, kills: number): void {
  for (const { id, recipient, copies, cause, detail } of verdict.duplicates)
    t.diagnostic(`duplicate ${id} ${recipient}: ${copies} copies: ${cause ?? 'NO CAUSE'} (${detail})`);
  const { excusable } = verdict;
  if (kills > 0) t.diagnostic(`an open attempt would excuse ${excusable.copies} of ${excusable.of} deliveries`);
  t.diagnostic(summary(verdict, kills));
  const { lost, damaged, wronglyBounced } = verdict;
  assert.deepEqual({ lost, damaged, wronglyBounced }, { lost: [], damaged: [], wronglyBounced: [] });
  assert.ok(passes(verdict), 'something arrived twice for no reason');
  assert.ok(verdict.accepted > 0);
}

/** How mail went on in a stretch of time: counts, and the longest time without any, in seconds. */
export interface Flow {
  readonly accepted: number;
  readonly delivered: number;
  readonly acceptedGap: number;
  readonly deliveredGap: number;
}

/** `from`, `to`: milliseconds since 1970. */
export function flowBetween(sent: readonly Sent[], { copies }: Arrived, from: number, to: number): Flow {
  const within = (times: readonly number[]): number[] =>
    times.filter((at) => at >= from && at <= to).toSorted((a, b) => a - b);
  const gap = (times: readonly number[]): number =>
    Math.max(...[...times, to].map((at, index) => at - (times[index - 1] ?? from))) / 1000;
  const accepted = within(
    sent.flatMap(({ attempts }) => attempts.flatMap(({ code, answered }) => (code === 250 ? [answered] : []))),
  );
  const delivered = within(copies.map(({ ended }) => ended));
  return {
    accepted: accepted.length,
    delivered: delivered.length,
    acceptedGap: gap(accepted),
    deliveredGap: gap(delivered),
  };
}
