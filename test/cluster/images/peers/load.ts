/**
 * A client that keeps sending until it is told to stop: `node load.ts HOST PORT SESSIONS RATE`, RATE in messages per
 * second. Every message has an X-Ledger-Id of its own; a message that was refused is not sent again, the next one stands
 * for it. On port 8080: `GET /accepted`, the ids answered with 250, one a line; `GET /counts`; `GET /stop`, which sends
 * nothing more and answers with the counts when the last answer is there.
 *
 * Counts: `accepted` were answered with 250, `refused` with anything else; `unknown` had no answer, so that they may have
 * been accepted.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTransport } from 'nodemailer';

const [host = 'smtp', port = '25', sessions = '10', rate = '100'] = process.argv.slice(2);

const transport = createTransport({
  host,
  port: Number(port),
  name: 'load.example.test',
  ignoreTLS: true,
  connectionTimeout: 5000,
  greetingTimeout: 15_000,
  socketTimeout: 60_000,
});

/** Tells the messages of this process from those of another. */
const run = randomBytes(4).toString('hex');
const accepted: string[] = [];
const counts = { accepted: 0, refused: 0, unknown: 0 };
const reasons = new Map<string, number>();
let stopping = false;
let number = 0;

async function send(): Promise<void> {
  const id = `${run}-${++number}`;
  try {
    await transport.sendMail({
      from: 'sender@example.test',
      to: `recipient-${number % 100}@example.com`,
      subject: `message ${number}`,
      headers: { 'X-Ledger-Id': id },
      text: 'x'.repeat(2000),
    });
    accepted.push(id);
    counts.accepted++;
  } catch (error) {
    // Only a reply to the end of data says that the message is not kept; before it, no client may think that it is.
    const { responseCode, message } = error as { responseCode?: number; message: string };
    counts[responseCode === undefined ? 'unknown' : 'refused']++;
    const reason = message.slice(0, 120);
    if (reasons.size < 50 || reasons.has(reason)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
}

async function session(): Promise<void> {
  const pause = (1000 * Number(sessions)) / Number(rate);
  while (!stopping) {
    const due = performance.now() + pause;
    await send();
    await sleep(Math.max(0, due - performance.now()));
  }
}

const running = Array.from({ length: Number(sessions) }, () => session());
const summary = (): string => `${JSON.stringify({ run, ...counts, reasons: Object.fromEntries(reasons) })}\n`;

const http = createServer((request, response) => {
  if (request.url === '/accepted') response.end(accepted.map((id) => `${id}\n`).join(''));
  else if (request.url === '/counts') response.end(summary());
  else if (request.url === '/stop') {
    stopping = true;
    void Promise.all(running).then(() => response.end(summary()));
  } else response.writeHead(404).end();
});
http.listen(8080);

process.once('SIGTERM', () => {
  stopping = true;
  http.close();
  http.closeAllConnections();
});
