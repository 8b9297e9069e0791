import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort } from '../../test/support/context.ts';
import { DeliveryRequest } from '../clients/generated/postfleet/v1/delivery.ts';
import { Configuration } from '../config/settings.ts';
import { success } from '../mail/dsn.ts';
import { FatalError } from '../util/errors.ts';
import { deliveryAgent } from './delivery-agent.ts';
import { ServiceHost, type ServiceToRun } from './host.ts';
import { queueWorker } from './queue-worker.ts';
import { rpcServer } from './rpc-server.ts';
import type { ServiceDefinition } from './service.ts';
import { tcpServer } from './tcp-server.ts';
import { NO_TRACING } from './tracing.ts';

/** Greets with smtpd_banner, then with each piece that comes, until the client ends. */
const greeter = tcpServer({
  name: 'greeter',
  parameters: ['smtpd_banner'],
  open: async ({ configuration }) => ({
    session: (connection) =>
      new Promise((closed) => {
        const greet = (): void => connection.write(configuration.text('smtpd_banner'));
        connection.serve({ data: greet, end: () => connection.destroy(), drain: () => undefined, closed });
        greet();
      }),
  }),
});

/** Answers with mail_name; refuses the name "unusable". */
const named = (keepsState: boolean): ServiceDefinition =>
  rpcServer({
    name: 'named',
    parameters: ['mail_name'],
    keepsState,
    async open({ configuration }) {
      let calls = 0;
      const name = configuration.text('mail_name');
      if (name === 'unusable') throw new FatalError('mail_name = unusable: of no use');
      return { rewrite: { rewrite: async () => [name, String(++calls)], resolve: async () => [] } };
    },
  });

/** Delivers when it is told to. */
const slow = { deliveries: 0, go: Promise.withResolvers<void>() };
const slowAgent = deliveryAgent({
  name: 'discard',
  parameters: [],
  open: async () => ({
    async deliver(request, _signal, report) {
      slow.deliveries += 1;
      await slow.go.promise;
      for (const recipient of request.recipients) report.sent(recipient, 'none', success('delivered', 'slowly'));
      return report.reply();
    },
  }),
});

/** What a worker was told, and when. */
const told: string[] = [];
const worker = queueWorker({
  name: 'worker',
  parameters: [],
  open: async ({ draining }) => {
    draining.addEventListener('abort', () => told.push('worker'));
    return { [Symbol.asyncDispose]: async () => void told.push('released') };
  },
});

const DEFINITIONS: Readonly<Record<string, ServiceDefinition>> = {
  greeter,
  named: named(false),
  keeper: named(true),
  discard: slowAgent,
  worker,
};

async function setUp(context: TestContext, mainCf: string, masterCf: string) {
  const directory = mkdtempSync(join(tmpdir(), 'host-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const load = (main: string, master = masterCf): Configuration => {
    writeFileSync(join(directory, 'main.cf'), `inet_interfaces = 127.0.0.1\npostfleet_shutdown_delay = 0\n${main}`);
    writeFileSync(join(directory, 'master.cf'), master);
    return Configuration.load(directory, { environment: new Map() });
  };
  const toRun = (configuration: Configuration): ServiceToRun[] =>
    configuration.master.map((entry) => ({ entry, definition: DEFINITIONS[entry.command]! }));
  const first = load(mainCf);
  const host = new ServiceHost({ configuration: first, remote: undefined, tracing: NO_TRACING });
  for (const { entry, definition } of toRun(first)) await host.start(entry, definition);
  return {
    host,
    async reload(main: string, master?: string): Promise<void> {
      const next = load(main, master);
      await using prepared = await host.prepare(next, toRun(next));
      prepared.commit();
    },
  };
}

function next(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (piece: Buffer) => resolve(piece.toString()));
    socket.once('close', () => resolve('closed'));
    socket.once('error', () => resolve('refused'));
  });
}

async function greeting(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  const text = await next(socket);
  socket.destroy();
  return text;
}

test('a session goes on with its settings over a reload, and new ones have others', async (context) => {
  const port = await freePort();
  const { host, reload } = await setUp(context, 'smtpd_banner = before\n', `${port} inet n - n - - greeter\n`);
  await using _host = host;
  const open = connect({ host: '127.0.0.1', port });
  assert.equal(await next(open), 'before');
  await reload('smtpd_banner = after\n');
  assert.equal(await greeting(port), 'after');
  open.write('x');
  assert.equal(await next(open), 'before');
  await reload('smtpd_banner = later\n');
  assert.equal(await greeting(port), 'later');
  open.destroy();
});

test('connections that come during reloads are all served', async (context) => {
  const port = await freePort();
  const { host, reload } = await setUp(context, 'smtpd_banner = 0\n', `${port} inet n - n - - greeter\n`);
  await using _host = host;
  const greetings = Array.from({ length: 50 }, async (_, at) => {
    if (at % 10 === 9) await reload(`smtpd_banner = ${at}\n`);
    return greeting(port);
  });
  for (const text of await Promise.all(greetings)) assert.match(text, /^\d+$/);
});

test('where one service cannot be opened, all stay as they are', async (context) => {
  const port = await freePort();
  const further = await freePort();
  const masterCf = `${port} inet n - n - - greeter\nname unix - - n - - named\n`;
  const { host, reload } = await setUp(context, 'smtpd_banner = before\nmail_name = first\n', masterCf);
  await using _host = host;
  const more = `${further} inet n - n - - greeter\n${masterCf}`;
  await assert.rejects(reload('smtpd_banner = after\nmail_name = unusable\n', more), /of no use/);
  assert.equal(await greeting(port), 'before');
  assert.equal(await greeting(further), 'refused');
  assert.deepEqual(await host.clients.rewrite('name').rewrite([]), ['first', '1']);
});

test('entries that a reload takes out are gone, those that it adds are there', async (context) => {
  const [port, other] = [await freePort(), await freePort()];
  const { host, reload } = await setUp(
    context,
    'smtpd_banner = x\n',
    `${port} inet n - n - - greeter\na unix - - n - - named\n`,
  );
  await using _host = host;
  await reload('smtpd_banner = x\nmail_name = n\n', `${other} inet n - n - - greeter\nb unix - - n - - named\n`);
  assert.equal(await greeting(port), 'refused');
  assert.equal(await greeting(other), 'x');
  assert.deepEqual(await host.clients.rewrite('b').rewrite([]), ['n', '1']);
  await assert.rejects(host.clients.rewrite('a').rewrite([]), /service a does not run/);
});

test('a service that keeps its state goes on until a parameter of it changes', async (context) => {
  const { host, reload } = await setUp(context, 'mail_name = first\n', 'name unix - - n - - keeper\n');
  await using _host = host;
  const ask = () => host.clients.rewrite('name').rewrite([]);
  assert.deepEqual(await ask(), ['first', '1']);
  await reload('mail_name = first\nsmtpd_banner = other\n');
  assert.deepEqual(await ask(), ['first', '2']);
  await reload('mail_name = second\n');
  assert.deepEqual(await ask(), ['second', '1']);
});

test('an entry cannot become a service that answers other calls', async (context) => {
  const { host, reload } = await setUp(context, 'mail_name = first\n', 'name unix - - n - - named\n');
  await using _host = host;
  await assert.rejects(reload('mail_name = first\n', 'name unix - - n - - greeter\n'), /answers other calls/);
  assert.deepEqual(await host.clients.rewrite('name').rewrite([]), ['first', '1']);
});

test('an attempt that is under way when its agent is replaced is joined, not repeated', async (context) => {
  const { host, reload } = await setUp(context, '', 'discard unix - - n - - discard\n');
  await using _host = host;
  const attempt = (epoch: number): DeliveryRequest =>
    DeliveryRequest.fromPartial({
      queueId: '4TestQueueId',
      recipients: [{ address: 'a@example.org' }],
      attempt: { shard: 0, epoch, id: 'one attempt' },
    });
  const before = host.clients.delivery('discard')!.deliver(attempt(1));
  await reload('mail_name = other\n');
  const after = host.clients.delivery('discard')!.deliver(attempt(2));
  slow.go.resolve();
  assert.equal(await before, await after);
  assert.equal(slow.deliveries, 1);
});

test('at the end whoever works the queue stops at once, and clients are served for a while', async (context) => {
  const port = await freePort();
  const mainCf = 'smtpd_banner = here\npostfleet_shutdown_delay = 1\n';
  const { host } = await setUp(context, mainCf, `queue unix n - n - - worker\n${port} inet n - n - - greeter\n`);
  assert.deepEqual(await host.notReady(), []);
  const ended = host[Symbol.asyncDispose]().then(() => told.push('ended'));
  assert.deepEqual(await host.notReady(), ['draining']);
  assert.equal(await greeting(port), 'here');
  assert.deepEqual(told, ['worker', 'released']);
  await ended;
  assert.equal(await greeting(port), 'refused');
});
