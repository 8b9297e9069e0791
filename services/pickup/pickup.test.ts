import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { main as postdrop } from '../../cli/postdrop/main.ts';
import { parseOptions } from '../../cli/sendmail/options.ts';
import { submit } from '../../cli/sendmail/submit.ts';
import type { Cleanup, SubmitRequest } from '../../lib/clients/protocols.ts';
import { Envelope, SubmitStatus, Unavailable } from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { MAILDROP_STREAM, sealEntry } from '../../lib/queue/maildrop.ts';
import type { Nats } from '../../lib/server/stores.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { temporaryDirectory, testContext } from '../../test/support/delivery.ts';
import { type NatsServer, startNats } from '../../test/support/nats.ts';
import { until } from '../../test/support/until.ts';
import { service } from './main.ts';

/** Seconds that what a test waits for may take. */
const LIMIT = 20;

let server: NatsServer;
let connection: NatsConnection;
let nats: Nats;

before(async () => {
  server = await startNats({ syncInterval: '1m' });
  connection = await connect({ servers: server.url });
  nats = { connection, jetstream: jetstream(connection), manager: await jetstreamManager(connection) };
});
after(async () => {
  await connection.close();
  await server[Symbol.asyncDispose]();
});

interface Submitted {
  readonly request: SubmitRequest;
  readonly content: Buffer;
}

/** A cleanup that answers as told, and remembers. */
function scriptedCleanup(...answers: (SubmitStatus | 'unavailable')[]) {
  const submitted: Submitted[] = [];
  const take = (request: SubmitRequest, content: Buffer) => {
    const answer = answers.shift() ?? SubmitStatus.QUEUED;
    if (answer === 'unavailable') throw new Unavailable('cleanup is away');
    submitted.push({ request, content });
    return { status: answer, queueId: request.envelope!.queueId, enhancedStatus: '', reason: '' };
  };
  const cleanup: Cleanup = {
    submit: async (request) => take(request, request.content),
    async submitLarge(request, content) {
      const pieces: Buffer[] = [];
      for await (const piece of content) pieces.push(piece);
      return take(request, Buffer.concat(pieces));
    },
  };
  return { submitted, cleanup };
}

async function startPickup(cleanup: Cleanup) {
  const lines: string[] = [];
  const context = testContext({ name: 'pickup', lines, mainCf: '', cleanup });
  const running = await service.start({ ...context, stores: { ...context.stores, nats: async () => nats } });
  return { lines, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

const configuration = (mainCf = '') =>
  Configuration.fromText(`myhostname = mail.example.org\npostfleet_nats_url = ${server.url}\n${mainCf}`);

async function sendmail(argv: string[], input: Buffer | string, mainCf = ''): Promise<void> {
  const stdin = Readable.from([Buffer.from(input)]);
  await submit(parseOptions(argv, 'sendmail'), configuration(mainCf), { stdin, environment: {} });
}

async function isEmpty(): Promise<boolean> {
  return (await nats.manager.streams.info(MAILDROP_STREAM)).state.messages === 0;
}

test('a message of sendmail reaches cleanup with its envelope, and leaves the stream', async () => {
  const { submitted, cleanup } = scriptedCleanup();
  await using pickup = await startPickup(cleanup);
  await sendmail(
    [
      '-f',
      'a@example.com',
      '-N',
      'failure,delay',
      '-R',
      'hdrs',
      '-V',
      'id+1',
      '-B',
      '8BITMIME',
      'b@example.org',
      'c, d@x.example',
    ],
    'Subject: t\r\n\r\nbody \xe9\r\n..\r\n.\r\nnot this\r\n',
  );
  await until('one submission', () => submitted.length === 1, LIMIT);
  const { request, content } = submitted[0]!;
  const envelope = request.envelope!;
  assert.equal(content.toString(), 'Subject: t\n\nbody \xe9\n..\n');
  assert.equal(envelope.sender, 'a@example.com');
  assert.deepEqual(
    envelope.recipients.map(({ address, dsnNotify }) => [address, dsnNotify]),
    [
      ['b@example.org', 12],
      ['c', 12],
      ['d@x.example', 12],
    ],
  );
  assert.deepEqual([envelope.dsnEnvid, envelope.dsnRet, envelope.encoding], ['id+2B1', 'HDRS', '8bit']);
  assert.equal(envelope.senderUid, process.getuid?.());
  const { created } = await nats.manager.streams.info(MAILDROP_STREAM);
  assert.equal(envelope.idempotenceKey, `maildrop:${created}:1`);
  assert.equal(request.options?.extractRecipients, false);
  await until('an empty queue', isEmpty, LIMIT);
  assert.deepEqual(pickup.lines, [`${envelope.queueId}: uid=${process.getuid?.()} from=<a@example.com>`]);
});

test('a message of several parts arrives whole, and so does one that is dropped meanwhile', async () => {
  const { submitted, cleanup } = scriptedCleanup();
  const large = Buffer.from(`Subject: large\n\n${'0123456789abcdef\n'.repeat(150_000)}`);
  await Promise.all([sendmail(['-i', 'b@example.org'], large), sendmail(['-t'], 'To: x@example.org\n\nsmall\n')]);
  await using _pickup = await startPickup(cleanup);
  await until('two submissions', () => submitted.length === 2, LIMIT);
  const [small, big] = submitted.toSorted((one, other) => one.content.length - other.content.length);
  assert.ok(big!.content.equals(large));
  assert.equal(small!.request.options?.extractRecipients, true);
  await until('an empty queue', isEmpty, LIMIT);
});

test('what cleanup cannot take now is handed on again under the same key', async () => {
  const { submitted, cleanup } = scriptedCleanup(SubmitStatus.WRITE_ERROR, 'unavailable', SubmitStatus.QUEUED);
  await using pickup = await startPickup(cleanup);
  await sendmail(['b@example.org'], 'Subject: t\n\nx\n');
  await until('two submissions', () => submitted.length === 2, LIMIT);
  await until('an empty queue', isEmpty, LIMIT);
  const keys = new Set(submitted.map(({ request }) => request.envelope!.idempotenceKey));
  assert.equal(keys.size, 1);
  assert.match(pickup.lines.join('\n'), /warning: \S+: not taken by cleanup/);
});

test('a refusal for good is reported to the sender', async () => {
  const { submitted, cleanup } = scriptedCleanup(SubmitStatus.NO_RECIPIENTS);
  await using _pickup = await startPickup(cleanup);
  await sendmail(['-f', 'me@example.org', '-t'], 'Subject: nobody\n\nsecret body\n');
  await until('two submissions', () => submitted.length === 2, LIMIT);
  const { request, content } = submitted[1]!;
  assert.equal(request.envelope?.sender, '');
  assert.deepEqual(
    request.envelope?.recipients.map(({ address }) => address),
    ['me@example.org'],
  );
  assert.match(content.toString(), /Status: 5\.1\.0[\s\S]*no recipients specified[\s\S]*Subject: nobody/);
  assert.doesNotMatch(content.toString(), /secret body/);
  await until('an empty queue', isEmpty, LIMIT);
});

test('an entry that makes no sense is set aside, and the next one is not held up', async () => {
  const { submitted, cleanup } = scriptedCleanup();
  await using pickup = await startPickup(cleanup);
  await nats.jetstream.publish('MAILDROP.entry.bad', 'this is no entry, and its end is not one either');
  await sendmail(['b@example.org'], 'Subject: good\n\nx\n');
  await until('one submission', () => submitted.length === 1, LIMIT);
  await until('an empty queue', isEmpty, LIMIT);
  assert.match(pickup.lines.join('\n'), /warning: maildrop entry \d+: .*: set aside in stream MAILDROP_CORRUPT/);
  const aside = await nats.manager.streams.getMessage('MAILDROP_CORRUPT', {
    last_by_subj: 'MAILDROP_CORRUPT.entry.bad',
  });
  assert.match(Buffer.from(aside!.data).toString(), /this is no entry/);
});

test('postdrop takes a sealed entry as its caller, and refuses one that is cut off', async () => {
  await using directory = await temporaryDirectory();
  const { writeFile } = await import('node:fs/promises');
  await writeFile(`${directory.path}/main.cf`, `postfleet_nats_url = ${server.url}\nmyhostname = mail.example.org\n`);
  const envelope = Envelope.create({
    sender: 'x@example.org',
    recipients: [{ address: 'b@example.org' }],
    senderUid: 4711,
  });
  const content = Readable.from([Buffer.from('Subject: t\n\nposted\n')]);
  const sealed: Buffer[] = [];
  for await (const piece of sealEntry({ envelope, extractRecipients: false }, content)) sealed.push(piece);
  const whole = Buffer.concat(sealed);
  const run = async (input: Buffer) => {
    let stderr = '';
    const status = await postdrop(['-c', directory.path], {
      stdin: Readable.from([input.subarray(0, 20), input.subarray(20)]) as unknown as NodeJS.ReadableStream,
      stdout: process.stdout,
      stderr: { write: (text: string) => (stderr += text) } as unknown as NodeJS.WritableStream,
      environment: {},
    });
    return { status, stderr };
  };
  const { submitted, cleanup } = scriptedCleanup();
  await using _pickup = await startPickup(cleanup);
  const cut = await run(whole.subarray(0, -5));
  assert.equal(cut.status, 65);
  assert.match(cut.stderr, /^postdrop: fatal: malformed input: /);
  assert.deepEqual(await run(whole), { status: 0, stderr: '' });
  await until('one submission', () => submitted.length === 1, LIMIT);
  assert.equal(submitted[0]!.request.envelope?.senderUid, process.getuid?.());
  assert.equal(submitted[0]!.content.toString(), 'Subject: t\n\nposted\n');
});

const failures: [name: string, argv: string[], mainCf: string, exitCode: number, message: RegExp][] = [
  ['no recipients', [], '', 64, /^Recipient addresses must be specified/],
  ['a message above message_size_limit', ['b'], 'message_size_limit = 10', 69, /\(\d+\): message file too big$/],
  ['a user who may not submit', ['b'], 'authorized_submit_users = !static:all', 69, /is not allowed to submit mail$/],
  [
    'a NATS server that is away',
    ['b'],
    'postfleet_nats_url = nats://127.0.0.1:1',
    75,
    /^mail submission is unavailable: cannot reach NATS at nats:\/\/127\.0\.0\.1:1: /,
  ],
];
for (const [name, argv, mainCf, exitCode, message] of failures) {
  test(`sendmail ends with ${exitCode}: ${name}`, async () => {
    await assert.rejects(sendmail(argv, 'Subject: t\n\nbody\n', mainCf), (error: unknown) => {
      assert.ok(error instanceof FatalError);
      assert.equal(error.exitCode, exitCode);
      assert.match(error.message, message);
      return true;
    });
  });
}
