/**
 * A TCP server whose sessions are scripts, for peers that do what no decent server does. A script is a function of the
 * conversation: it says, waits for lines, closes.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export class Conversation {
  readonly socket: Socket;
  /** Lines that the client sent, without line ends. */
  readonly heard: string[] = [];
  #rest = '';
  readonly #lines: string[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#rest += text;
      const lines = this.#rest.split('\r\n');
      this.#rest = lines.pop()!;
      this.#lines.push(...lines);
      this.heard.push(...lines);
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  say(text: string): void {
    this.socket.write(`${text}\r\n`, 'latin1');
  }

  /** The next line; undefined when the client has gone. */
  async line(): Promise<string | undefined> {
    while (this.#lines.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#lines.shift();
  }

  /** Takes lines up to one that begins so; returns it. */
  async until(start: string): Promise<string | undefined> {
    for (;;) {
      const line = await this.line();
      if (line === undefined || line.startsWith(start)) return line;
    }
  }

  /** Takes message content up to its dot; false when the client has gone before. */
  async content(): Promise<boolean> {
    for (;;) {
      const line = await this.line();
      if (line === undefined) return false;
      if (line === '.') return true;
    }
  }

  /** Answers MAIL, RCPT, DATA, RSET and content with success until the client goes. */
  async serve(ehlo: readonly string[] = ['250 scripted.example']): Promise<void> {
    for (;;) {
      const line = await this.line();
      if (line === undefined) return;
      if (line.startsWith('EHLO') || line.startsWith('LHLO')) for (const reply of ehlo) this.say(reply);
      else if (line === 'DATA') {
        this.say('354 go on');
        if (!(await this.content())) return;
        this.say('250 2.0.0 kept');
      } else if (line === 'QUIT') {
        this.say('221 bye');
        this.socket.end();
      } else this.say('250 2.1.0 fine');
    }
  }
}

export interface ScriptedServer extends AsyncDisposable {
  readonly port: number;
  readonly conversations: Conversation[];
}

/** Serves `script` to each client on a free port of `host`; the index counts connections from 0. */
export async function scriptedServer(
  script: (conversation: Conversation, index: number) => Promise<void> | void,
  where: { host?: string; port?: number; path?: string } = {},
): Promise<ScriptedServer> {
  const conversations: Conversation[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const conversation = new Conversation(socket);
    conversations.push(conversation);
    void Promise.resolve(script(conversation, conversations.length - 1)).then(
      () => socket.end(),
      (error: unknown) => socket.destroy(error as Error),
    );
  });
  if (where.path !== undefined) server.listen(where.path);
  else server.listen(where.port ?? 0, where.host ?? '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    conversations,
    async [Symbol.asyncDispose]() {
      for (const { socket } of conversations) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
