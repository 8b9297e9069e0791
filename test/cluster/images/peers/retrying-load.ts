/**
 * A client that does not give up: `node retrying-load.ts HOST PORT SESSIONS RATE MESSAGES DOMAINS`, RATE in messages per second
 * (0: as fast as they are taken), MESSAGES 0 for no end, DOMAINS separated by commas and used in turn. What fails is sent again a
 * moment later with the same X-Ledger-Id, as an MTA does with its queue. Half of the sessions keep their connection for
 * several messages, the others connect for each.
 *
 * On port 8080: `GET /counts`; `GET /accepted`, the ids answered with 250, one a line; `GET /failures`, what went wrong, each kind
 * with the number of times; `GET /stop`, which begins with no further message and answers with the counts when all are sent.
 * A message that failed ATTEMPTS times is given up and counted.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTransport } from 'nodemailer';

const ATTEMPTS = 10;
const PAUSE_MS = 1000;
const MESSAGES_PER_CONNECTION = 20;

const [host = 'mail', port = '25', sessions = '10', rate = '0', messages = '0', list = 'example.com'] =
  process.argv.slice(2);
const domains = list.split(',');
const limit = messages === '0' ? Number.POSITIVE_INFINITY : Number(messages);

const options = {
  host,
  port: Number(port),
  name: 'load.example.test',
  ignoreTLS: true,
  connectionTimeout: 10_000,
  greetingTimeout: 30_000,
  socketTimeout: 60_000,
};

/** Tells the messages of this process from those of another. */
const run = randomBytes(4).toString('hex');
const accepted: string[] = [];
const failures = new Map<string, { times: number; code: string; reply: number; text: string }>();
const counts = { begun: 0, retried: 0, givenUp: 0, mostAttempts: 0 };
let stopping = false;

interface Failure extends Error {
  readonly code?: string;
  readonly responseCode?: number;
}

function remember({ code = '', responseCode: reply = 0, message }: Failure): void {
  const text = message.replaceAll(/\d+\.\d+\.\d+\.\d+(?::\d+)?/g, 'ADDRESS').slice(0, 160);
  const key = `${code} ${reply} ${text}`;
  const known = failures.get(key);
  if (known !== undefined) known.times++;
  else if (failures.size < 100) failures.set(key, { times: 1, code, reply, text });
}

const makeTransport = (pooled: boolean) =>
  pooled
    ? createTransport({ ...options, pool: true, maxConnections: 1, maxMessages: MESSAGES_PER_CONNECTION })
    : createTransport(options);

async function send(transport: ReturnType<typeof makeTransport>): Promise<void> {
  const number = ++counts.begun;
  const id = `${run}-${number}`;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    counts.mostAttempts = Math.max(counts.mostAttempts, attempt);
    try {
      await transport.sendMail({
        from: 'sender@example.test',
        to: `recipient-${number % 100}@${domains[number % domains.length]}`,
        subject: `message ${number}`,
        headers: { 'X-Ledger-Id': id },
        text: 'x'.repeat(2000),
      });
      accepted.push(id);
      return;
    } catch (error) {
      remember(error as Failure);
      counts.retried++;
      await sleep(PAUSE_MS);
    }
  }
  counts.givenUp++;
}

async function session(number: number): Promise<void> {
  const transport = makeTransport(number % 2 === 0);
  const pause = rate === '0' ? 0 : (1000 * Number(sessions)) / Number(rate);
  while (!stopping && counts.begun < limit) {
    const due = performance.now() + pause;
    await send(transport);
    await sleep(Math.max(0, due - performance.now()));
  }
  transport.close();
}

const running = Promise.all(Array.from({ length: Number(sessions) }, (_, number) => session(number)));
let ended = false;
void running.then(() => {
  ended = true;
});
const summary = (): string => JSON.stringify({ run, accepted: accepted.length, ended, ...counts });

const http = createServer((request, response) => {
  if (request.url === '/accepted') response.end(accepted.map((id) => `${id}\n`).join(''));
  else if (request.url === '/counts') response.end(summary());
  else if (request.url === '/failures') response.end(JSON.stringify([...failures.values()]));
  else if (request.url === '/stop') {
    stopping = true;
    void running.then(() => response.end(summary()));
  } else response.writeHead(404).end();
});
http.listen(8080);

process.once('SIGTERM', () => {
  stopping = true;
  http.close();
  http.closeAllConnections();
});
