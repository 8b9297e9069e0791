/**
 * sendmail -bs: SMTP on standard input and output. The session is one with the smtpd(8) of this host, whose access rules
 * hold: what the command is, to them, is a client on this host. STARTTLS and BDAT are not for this way.
 *
 * Rejects with FatalError: EX_CONFIG where master.cf has no smtpd, EX_TEMPFAIL where it does not answer.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Configuration } from '../../lib/config/settings.ts';
import { endpoints } from '../../lib/server/endpoints.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';

interface Io {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
}

const LINE_LIMIT = 1024 * 1024;
const LINE_END = Buffer.from('\r\n');

/** Resolves when the server has closed the session. */
export async function smtpSession(configuration: Configuration, io: Io): Promise<void> {
  const socket = await open(configuration);
  try {
    const replies = new Replies(socket, io.stdout);
    await Promise.race([send(socket, replies, io.stdin), replies.ended]);
    await replies.ended;
  } finally {
    socket.destroy();
  }
}

/**
 * Sends what the client says, a command at a time: a program that writes a whole session at once, which smtpd would refuse
 * as improper pipelining, works too. Lines end in CR LF, whatever they ended in.
 */
async function send(socket: Socket, replies: Replies, input: NodeJS.ReadableStream): Promise<void> {
  let inMessage = false;
  await replies.next();
  for await (const line of lines(input as AsyncIterable<Buffer>)) {
    if (!socket.write(Buffer.concat([line, LINE_END]))) await Promise.race([once(socket, 'drain'), replies.ended]);
    if (inMessage && !(line.length === 1 && line[0] === DOT)) continue;
    inMessage = (await replies.next()).startsWith('354');
  }
  socket.end();
}

const DOT = 46;

/** Lines without their ends; a line beyond the limit is cut there. */
async function* lines(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of input) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
      const line = rest.subarray(from, end);
      yield line.at(-1) === CR ? line.subarray(0, -1) : line;
      from = end + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > LINE_LIMIT) {
      yield rest;
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield rest;
}

const CR = 13;

/** Copies replies to the client, and tells when one is complete. */
class Replies {
  /** The server has closed the session. */
  readonly ended: Promise<void>;
  readonly #complete: string[] = [];
  #wanted: ((line: string) => void) | undefined;
  #line = '';

  constructor(socket: Socket, output: NodeJS.WritableStream) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    socket.on('data', (piece: Buffer) => {
      output.write(piece);
      this.#read(piece.toString('latin1'));
    });
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.on('end', () => resolve());
  }

  /** The last line of the next reply; never resolves after the end. */
  next(): Promise<string> {
    const line = this.#complete.shift();
    if (line !== undefined) return Promise.resolve(line);
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }

  #read(text: string): void {
    const all = (this.#line + text).split('\n');
    this.#line = (all.pop() ?? '').slice(0, LINE_LIMIT);
    for (const line of all) {
      if (!/^[0-9]{3}( |\r?$)/.test(line)) continue;
      if (this.#wanted === undefined) this.#complete.push(line);
      else this.#wanted(line);
      this.#wanted = undefined;
    }
  }
}

async function open(configuration: Configuration): Promise<Socket> {
  const entry = configuration.master.find(({ type, command }) => type === 'inet' && command === 'smtpd');
  const endpoint = entry === undefined ? undefined : endpoints(configuration, entry)[0];
  if (endpoint === undefined) throw new FatalError('-bs: master.cf has no smtpd service that listens');
  const host = endpoint.host === '0.0.0.0' || endpoint.host === '::' ? 'localhost' : endpoint.host;
  const socket = connect({ host, port: endpoint.port, allowHalfOpen: true });
  try {
    await once(socket, 'connect');
  } catch (error) {
    throw new FatalError(`-bs: smtpd on ${host}:${endpoint.port} does not answer: ${(error as Error).message}`, {
      cause: error,
      exitCode: EX.TEMPFAIL,
    });
  }
  return socket;
}
