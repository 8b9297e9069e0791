/**
 * Next hops that take their time and remember when: `node timing-sink.ts MILLISECONDS PORT…`. Each message is answered that long
 * after its end. On port 8080 `GET /transactions`: every message with the port that it came to, its X-Ledger-Id, and when it
 * began (MAIL) and ended (the answer to the end of data), in milliseconds since the process began; `GET /count`, how many.
 *
 * A transaction ends here a moment before its client knows, and begins a moment after: more of them at once than a limit
 * allows, or less time between two, is never an effect of the measurement.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SMTPServer } from 'smtp-server';

const MAX_HEADER_BYTES = 64 * 1024;

const [milliseconds = '0', ...ports] = process.argv.slice(2);
const transactions: { port: number; id: string; begin: number; end: number }[] = [];

function listen(port: number): SMTPServer {
  const begun = new Map<string, number>();
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onMailFrom(_address, session, done) {
      begun.set(session.id, performance.now());
      done();
    },
    onClose(session) {
      begun.delete(session.id);
    },
    onData(stream, session, done) {
      let head = '';
      stream.on('data', (chunk: Buffer) => {
        if (head.length < MAX_HEADER_BYTES) head += chunk.toString('latin1');
      });
      stream.on('end', () => {
        const id = /^X-Ledger-Id: ([\w.-]{1,200})\r$/im.exec(head)?.[1] ?? 'none';
        const begin = begun.get(session.id) ?? Number.NaN;
        void sleep(Number(milliseconds)).then(() => {
          transactions.push({ port, id, begin, end: performance.now() });
          done();
        });
      });
    },
  });
  // A client that hangs up is no trouble of ours.
  server.on('error', () => undefined);
  server.listen(port);
  return server;
}

const servers = ports.map((port) => listen(Number(port)));

const http = createServer((request, response) => {
  if (request.url === '/transactions') response.end(JSON.stringify(transactions));
  else if (request.url === '/count') response.end(String(transactions.length));
  else response.writeHead(404).end();
});
http.listen(8080);

process.once('SIGTERM', () => {
  for (const server of servers) server.close();
  http.close();
  http.closeAllConnections();
});
