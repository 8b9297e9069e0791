import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readProxyHeader } from '../../lib/smtp/proxy-protocol.ts';

const SCRIPT = join(import.meta.dirname, '../../charts/postfleet/files/send-message.mjs');

interface Situation {
  /** The reply to each line of the client that begins with the word; 250 for others. */
  readonly replies?: Readonly<Record<string, string>>;
  /** What the pod's log holds. */
  readonly log: string;
  readonly seconds?: number;
  /** The server is behind a load balancer that speaks the PROXY protocol: it says nothing before a header of it. */
  readonly proxied?: boolean;
  /** What the script is told about that. */
  readonly proxyProtocol?: string;
}

/** An SMTP server and an API server of one pod, as far as the test of the chart asks them. */
async function run({
  replies = {},
  log,
  seconds = 5,
  proxied = false,
  proxyProtocol = '',
}: Situation): Promise<{ code: number | null; output: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'send-message-'));
  await writeFile(join(directory, 'token'), 'secret\n');
  const smtp = createServer((socket) => {
    let inData = false;
    let greeted = !proxied;
    const greeting = `${replies.greeting ?? '220 mail.example.test ESMTP'}\r\n`;
    socket.on('error', () => undefined);
    if (greeted) socket.write(greeting);
    socket.on('data', (chunk) => {
      for (const line of chunk.toString('latin1').split('\r\n').filter(Boolean)) {
        if (inData && line !== '.') continue;
        if (!greeted) {
          const header = readProxyHeader(Buffer.from(`${line}\r\n`, 'latin1'));
          if (header.kind !== 'addresses' || header.addresses.clientPort !== socket.remotePort) socket.destroy();
          else socket.write(greeting);
          greeted = true;
          continue;
        }
        const word = line.split(' ')[0]!;
        const usual = word === 'DATA' ? '354 go on' : word === '.' ? '250 2.0.0 Ok: queued as 4dGabc1234' : '250 Ok';
        inData = word === 'DATA';
        socket.write(`${replies[word] ?? usual}\r\n`);
      }
    });
  });
  const api = createHttp((request, response) => {
    if (request.headers.authorization !== 'Bearer secret') response.writeHead(401).end();
    else if (request.url!.includes('/log?')) response.end(log);
    else response.end(JSON.stringify({ items: [{ metadata: { name: 'mail-smtp-1' }, status: { phase: 'Running' } }] }));
  });
  for (const server of [smtp, api]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
  try {
    const child = spawn(process.execPath, [SCRIPT], {
      env: {
        SMTP_HOST: '127.0.0.1',
        SMTP_PORT: String(port(smtp)),
        PROXY_PROTOCOL: proxyProtocol,
        MAIL_FROM: 'a@example.test',
        RCPT_TO: 'b@example.test',
        TIMEOUT_SECONDS: String(seconds),
        MAIL_SERVER: 'mail',
        NAMESPACE: 'default',
        KUBERNETES_API: `http://127.0.0.1:${port(api)}`,
        KUBERNETES_TOKEN_FILE: join(directory, 'token'),
      },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const code = await new Promise<number | null>((done) => child.once('close', done));
    return { code, output };
  } finally {
    smtp.close();
    api.close();
    api.closeAllConnections();
    await rm(directory, { recursive: true });
  }
}

const status = (word: string): string =>
  `Nov 22 10:00:00 mail postfix/smtp[1]: 4dGabc1234: to=<b@example.test>, relay=x, dsn=2.0.0, status=${word} (250 ok)\n`;

test('a message whose delivery is logged is a success', async () => {
  const { code, output } = await run({ log: status('sent') });
  assert.equal(code, 0, output);
  assert.match(output, /delivered: 4dGabc1234\n$/);
});

test('a server behind the PROXY protocol is told who the client is', async () => {
  const { code, output } = await run({ log: status('sent'), proxied: true, proxyProtocol: 'haproxy' });
  assert.equal(code, 0, output);
});

test('a bounced message is a failure at once', async () => {
  const { code, output } = await run({ log: status('bounced'), seconds: 60 });
  assert.equal(code, 1);
  assert.match(output, /FAILED: 4dGabc1234 was bounced\n$/);
});

test('a message that stays deferred is a failure after the time', async () => {
  const { code, output } = await run({ log: status('deferred'), seconds: 1 });
  assert.equal(code, 1);
  assert.match(output, /status=deferred[\s\S]*FAILED: not within 1 s\n$/);
});

test('log lines of other messages are no success', async () => {
  const { code } = await run({ log: status('sent').replace('4dGabc1234', '4dGother000'), seconds: 1 });
  assert.equal(code, 1);
});

test('a recipient that the server refuses for good is a failure at once', async () => {
  const { code, output } = await run({ replies: { RCPT: '550 5.1.1 no such user' }, log: '', seconds: 60 });
  assert.equal(code, 1);
  assert.match(output, /FAILED: RCPT TO:<b@example.test>: 550 5.1.1 no such user\n$/);
});

test('a server that is not ready is asked again', async () => {
  const { code, output } = await run({ replies: { greeting: '421 4.3.2 later' }, log: '', seconds: 1 });
  assert.equal(code, 1);
  assert.match(output, /trying again: greeting: 421 4.3.2 later/);
});
