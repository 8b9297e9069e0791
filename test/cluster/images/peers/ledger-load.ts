/**
 * The load of test/faults, from a pod: `node ledger-load.ts HOST PORT SESSIONS RATE SEED DOMAINS`, RATE in messages per second,
 * DOMAINS the number of sink domains. On port 8080: `GET /counts`; `GET /stop`, which begins with no further message and answers
 * when all that were begun have an outcome; `GET /sent`, every message with its ends of data and their answers.
 */
import { createServer } from 'node:http';
import { Load } from '../../../faults/load.ts';
import { makeMessages } from '../../../faults/messages.ts';
import { seeded } from '../../../faults/random.ts';

/** More than a scenario sends. */
const MESSAGES = 100_000;

const [host = 'mail', port = '25', sessions = '8', rate = '10', seed = '1', domains = '4'] = process.argv.slice(2);
const random = seeded(Number(seed));
const end = new AbortController();
const load = new Load({
  host,
  port: Number(port),
  messages: makeMessages('k', MESSAGES, Number(domains), random),
  sessions: Number(sessions),
  rate: Number(rate),
  random,
  signal: end.signal,
});
const running = load.run();

const counts = (): string =>
  JSON.stringify({ begun: load.begun, accepted: load.accepted.length, waiting: load.waiting });

const http = createServer((request, response) => {
  if (request.url === '/counts') response.end(counts());
  else if (request.url === '/sent') response.end(JSON.stringify(load.sent));
  else if (request.url === '/stop') {
    load.stop();
    void running.then(() => response.end(counts()));
  } else response.writeHead(404).end();
});
http.listen(8080);

process.once('SIGTERM', () => {
  end.abort();
  http.close();
  http.closeAllConnections();
});
