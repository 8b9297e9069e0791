/**
 * A next hop that takes every message and remembers the value of its X-Ledger-Id header: SMTP on port 2525, and on port
 * 8080 `GET /ids`, the ids in the order of their arrival, one a line, repeated where a message came again.
 *
 * The memory is the process's own: tests never end this pod.
 */
import { createServer } from 'node:http';
import { SMTPServer } from 'smtp-server';

const MAX_HEADER_BYTES = 64 * 1024;

const ids: string[] = [];

const smtp = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  disableReverseLookup: true,
  onData(stream, _session, done) {
    let head = '';
    stream.on('data', (chunk: Buffer) => {
      if (head.length < MAX_HEADER_BYTES) head += chunk.toString('latin1');
    });
    stream.on('end', () => {
      ids.push(/^X-Ledger-Id: ([\w.-]{1,200})\r$/im.exec(head)?.[1] ?? 'none');
      done();
    });
  },
});
// A client that hangs up is no trouble of ours.
smtp.on('error', () => undefined);
smtp.listen(2525);

const http = createServer((request, response) => {
  if (request.url === '/ids') response.end(ids.map((id) => `${id}\n`).join(''));
  else response.writeHead(404).end();
});
http.listen(8080);

process.once('SIGTERM', () => {
  smtp.close();
  http.close();
  http.closeAllConnections();
});
