/**
 * A process that writes mailboxes, and reads small files, with the rights of one user: `mailbox-writer-process UID GID`,
 * started by mailbox-writers.ts with an IPC channel. It loads its code as the superuser, gives up every other right for
 * good before it looks at anything of the user's, and ends when the channel closes and its work is done.
 */
import type { WriterReply, WriterRequest } from './mailbox-writers.ts';
import { readFileText } from './read-file.ts';
import { writeMailbox } from './write-mailbox.ts';

/** The pieces of one message as they come over the channel. */
class Incoming implements AsyncIterable<Buffer> {
  readonly #pieces: Buffer[] = [];
  #ended: 'open' | 'complete' | 'abandoned' = 'open';
  #wake: (() => void) | undefined;
  readonly #more: () => void;

  constructor(more: () => void) {
    this.#more = more;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#wake?.();
  }

  end(how: 'complete' | 'abandoned'): void {
    this.#ended = how;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        yield piece;
        this.#more();
      } else if (this.#ended === 'complete') return;
      else if (this.#ended === 'abandoned') throw new Abandoned();
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** The sender of the content gave up. */
class Abandoned extends Error {}

const incoming = new Map<number, Incoming>();

function reply(message: WriterReply): void {
  if (process.connected) process.send?.(message);
}

async function write(id: number, order: Extract<WriterRequest, { kind: 'write' }>['order']): Promise<void> {
  const content = new Incoming(() => reply({ id, kind: 'more' }));
  incoming.set(id, content);
  try {
    const outcome = await writeMailbox({ ...order, head: Buffer.from(order.head) }, content);
    reply({ id, kind: 'written', outcome });
  } catch (error) {
    if (!(error instanceof Abandoned)) throw error;
    const outcome = { delivered: false, status: '4.3.0', reason: 'the message ended early' } as const;
    reply({ id, kind: 'written', outcome });
  } finally {
    incoming.delete(id);
  }
}

async function handle(request: WriterRequest): Promise<void> {
  switch (request.kind) {
    case 'write':
      return write(request.id, request.order);
    case 'piece': {
      const content = incoming.get(request.id);
      if (request.data.length > 0) content?.push(Buffer.from(request.data));
      if (request.last) content?.end('complete');
      return;
    }
    case 'abandon':
      incoming.get(request.id)?.end('abandoned');
      return;
    case 'read':
      reply({ id: request.id, kind: 'read', text: await readFileText(request.path, request.limit) });
  }
}

function becomeUser(uid: number, gid: number): void {
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) throw new Error('usage: mailbox-writer-process UID GID');
  process.chdir('/');
  process.umask(0o077);
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

// Ctrl-C reaches every process of the terminal: this one ends when its parent lets it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
becomeUser(Number(process.argv[2]), Number(process.argv[3]));
process.on('message', (request: WriterRequest) => {
  // An error here is one of our code: it ends the process, and the parent defers what was under way.
  handle(request).catch((error: unknown) => {
    process.stderr.write(`mailbox-writer: ${String(error)}\n`);
    process.exitCode = 1;
    process.disconnect();
  });
});
process.on('disconnect', () => {
  for (const content of incoming.values()) content.end('abandoned');
});
