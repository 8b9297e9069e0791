/**
 * Limits of a destination in a fleet with several of everything: concurrency and rate delay are those of main.cf, whichever
 * smtpd took the mail in and whichever qmgr and smtp send it, measured where it arrives.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { until } from './kubectl.ts';
import { assertQuietOperator } from './operator-log.ts';
import { ONLY_RELAYING, OwnNamespace } from './own-namespace.ts';
import { step, withTroubles } from './troubles.ts';

const SMTPD = 4;
const QMGR = 3;
const SMTP = 2;

/** Milliseconds that a next hop takes for a message, long enough that the limit is what mail waits for. */
const ANSWER_MS = 400;
const CONCURRENCY = 3;
const RATE_DELAY_MS = 2000;
/** Timers count whole milliseconds. */
const TICK_MS = 2;

/** Each port of the sink is a destination of its own, so that every qmgr has some. */
const CONCURRENT = [3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008];
const PACED = [4001, 4002, 4003, 4004];
const EACH = 24;

const own = new OwnNamespace('postfleet-limits');
const { kubectl } = own;

const domainOf = (port: number): string => `port-${port}.test`;

interface Transaction {
  readonly port: number;
  readonly id: string;
  readonly begin: number;
  readonly end: number;
}

function spec() {
  const host = `sink.${kubectl.namespace}.svc.cluster.local`;
  const routes = [
    ...CONCURRENT.map((port) => `{ ${domainOf(port)} = concurrent:[${host}]:${port} }`),
    ...PACED.map((port) => `{ ${domainOf(port)} = paced:[${host}]:${port} }`),
  ];
  const transport = (service: string) => ({ service, type: 'unix', command: 'smtp' });
  return {
    mainCf: {
      relay_domains: [...CONCURRENT, ...PACED].map(domainOf).join(' '),
      transport_maps: `inline:{ ${routes.join(', ')} }`,
      concurrent_destination_concurrency_limit: String(CONCURRENCY),
      concurrent_initial_destination_concurrency: String(CONCURRENCY),
      paced_destination_rate_delay: `${RATE_DELAY_MS / 1000}s`,
    },
    masterCf: [...ONLY_RELAYING, transport('concurrent'), transport('paced')],
    services: {
      smtpd: { replicas: SMTPD },
      qmgr: { replicas: QMGR },
      smtp: { replicas: SMTP },
      concurrent: { placement: { with: 'smtp' } },
      paced: { placement: { with: 'smtp' } },
    },
  };
}

/** How many lines of each pod of a service match. */
async function linesOf(service: string, pattern: RegExp): Promise<number[]> {
  const pods = await kubectl.pods(`postfleet.dev/service=${service}`);
  const logs = await Promise.all(pods.map(({ name }) => kubectl.run(['logs', name, '--tail', '-1'])));
  return logs.map((log) => log.split('\n').filter((line) => pattern.test(line)).length);
}

/** The most that were under way at one moment. */
function peakOf(transactions: readonly Transaction[]): number {
  const changes = transactions
    .flatMap(({ begin, end }) => [
      { at: begin, by: 1 },
      { at: end, by: -1 },
    ])
    // One that ends at the moment in which another begins is over.
    .sort((a, b) => a.at - b.at || a.by - b.by);
  let open = 0;
  let peak = 0;
  for (const { by } of changes) {
    open += by;
    peak = Math.max(peak, open);
  }
  return peak;
}

/** Milliseconds from the end of each to the beginning of the next. */
function pausesOf(transactions: readonly Transaction[]): number[] {
  const inOrder = transactions.toSorted((a, b) => a.begin - b.begin);
  return inOrder.slice(1).map(({ begin }, before) => begin - inOrder[before]!.end);
}

async function deliverAll(): Promise<Map<number, Transaction[]>> {
  const ports = [...CONCURRENT, ...PACED];
  await kubectl.apply('retrying-load.yaml', {
    name: 'load',
    sessions: 16,
    rate: 0,
    messages: EACH * ports.length,
    domains: ports.map(domainOf).join(','),
  });
  await kubectl.run(['wait', '--for=condition=Ready', 'pod/load', '--timeout=60s']);
  await until(
    'all messages at the sink',
    300,
    async () => Number(await kubectl.get('sink', '/count')) >= EACH * ports.length,
  );
  const transactions = JSON.parse(await kubectl.get('sink', '/transactions')) as Transaction[];
  assert.equal(new Set(transactions.map(({ id }) => id)).size, EACH * ports.length, 'messages that arrived');
  return new Map(ports.map((port) => [port, transactions.filter((one) => one.port === port)]));
}

async function assertAllTookPart(t: TestContext): Promise<void> {
  const sessions = await linesOf('smtpd', /: connect from /);
  const removed = await linesOf('qmgr', /: removed$/);
  const sent = await linesOf('smtp', /status=sent/);
  t.diagnostic(
    `sessions of each smtpd: ${sessions}; messages of each qmgr: ${removed}; deliveries of each smtp: ${sent}`,
  );
  assert.deepEqual([sessions.length, removed.length, sent.length], [SMTPD, QMGR, SMTP]);
  for (const counts of [sessions, removed, sent])
    assert.ok(
      counts.every((count) => count > 0),
      'a pod had nothing to do',
    );
}

before(() => own.remove());
after(() => own.removeAfterwards());

test(`a destination's limits hold exactly with ${SMTPD} smtpd and ${QMGR} qmgr`, (t) =>
  withTroubles(t, kubectl, async () => {
    await step(t, 'charts, sink and MailServer', async () => {
      await own.install();
      const ports = JSON.stringify([...CONCURRENT, ...PACED].map(String));
      await kubectl.apply('timing-sink.yaml', { milliseconds: ANSWER_MS, ports });
      await kubectl.ready('deployment/sink');
      await own.serve(spec());
    });

    let arrived = new Map<number, Transaction[]>();
    await step(t, 'every message arrives', async () => {
      arrived = await deliverAll();
    });

    await step(t, 'every pod took part', () => assertAllTookPart(t));

    await step(
      t,
      `never more than ${CONCURRENCY} at once to one destination, and no fewer where there is enough`,
      async () => {
        const peaks = CONCURRENT.map((port) => peakOf(arrived.get(port)!));
        t.diagnostic(`concurrency limit ${CONCURRENCY}: peaks ${peaks}`);
        assert.deepEqual(
          peaks,
          CONCURRENT.map(() => CONCURRENCY),
        );
      },
    );

    await step(t, `never less than ${RATE_DELAY_MS} ms between two messages to one destination`, async () => {
      const pauses = PACED.map((port) => pausesOf(arrived.get(port)!).toSorted((a, b) => a - b));
      const shown = pauses.map(
        (each) => `${each[0]!.toFixed(0)}/${each[each.length >> 1]!.toFixed(0)}/${each.at(-1)!.toFixed(0)}`,
      );
      t.diagnostic(`rate delay ${RATE_DELAY_MS} ms: pauses least/median/most ${shown.join(' ')}`);
      for (const each of pauses) {
        assert.equal(each.length, EACH - 1);
        assert.ok(each[0]! >= RATE_DELAY_MS - TICK_MS, `${each[0]} ms between two messages`);
        // Mail waits for the delay and for little else.
        assert.ok(each[each.length >> 1]! < 1.25 * RATE_DELAY_MS, `${each[each.length >> 1]} ms is the usual pause`);
      }
    });

    await step(t, 'the operator logged no error', () => assertQuietOperator(kubectl));
  }));
