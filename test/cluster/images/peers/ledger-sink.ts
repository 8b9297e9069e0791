/**
 * The sink of test/faults, as a pod: SMTP on port 2525, and on port 8080 `GET /counts` and `GET /arrivals`, the copies and notices
 * that the ledger is made of.
 *
 * The memory is the process's own: tests never end this pod.
 */
import { createServer } from 'node:http';
import { Arrivals } from '../../../faults/arrivals.ts';
import { seeded } from '../../../faults/random.ts';
import { Sink } from '../../../faults/sink.ts';

const arrivals = new Arrivals();
const sink = await Sink.start({
  ports: { port: 2525 },
  random: seeded(Number(process.argv[2] ?? 1)),
  slowness: 150,
  taken: (message) => arrivals.add(message),
  refused: () => undefined,
});

const http = createServer((request, response) => {
  const { copies, notices } = arrivals;
  if (request.url === '/counts')
    response.end(JSON.stringify({ copies: copies.length, notices: notices.length, open: sink.open }));
  else if (request.url === '/arrivals') response.end(JSON.stringify({ copies, notices }));
  else response.writeHead(404).end();
});
http.listen(8080);

process.once('SIGTERM', () => {
  void sink[Symbol.asyncDispose]();
  http.close();
  http.closeAllConnections();
});
