/**
 * An smtpd on a free port for tests, with a cleanup that records what it is given and an address resolver that knows
 * example.org as local. Everything else is the real service.
 */
import { connect, type Socket } from 'node:net';
import {
  type Cleanup,
  type ResolveReply,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
  type TrivialRewrite,
} from '../../lib/clients/protocols.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import { type ContextOptions, type TestContext, testContext } from '../../test/support/context.ts';
import { service } from './main.ts';

export interface Recorded {
  readonly request: SubmitRequest;
  readonly content: Buffer;
  readonly large: boolean;
}

/** Keeps every submission; `status` is what it answers. */
export class RecordingCleanup implements Cleanup {
  readonly submissions: Recorded[] = [];
  status: SubmitStatus = SubmitStatus.QUEUED;
  /** Thrown in place of an answer. */
  failure: Error | undefined;
  /** Called with each piece of large content; a promise holds the content up. */
  onPiece: ((piece: Buffer) => Promise<void> | void) | undefined;

  async submit(request: SubmitRequest): Promise<SubmitReply> {
    return this.#answer({ request, content: Buffer.from(request.content), large: false });
  }

  async submitLarge(request: SubmitRequest, content: AsyncIterable<Buffer>): Promise<SubmitReply> {
    const pieces: Buffer[] = [];
    for await (const piece of content) {
      await this.onPiece?.(piece);
      pieces.push(Buffer.from(piece));
    }
    return this.#answer({ request, content: Buffer.concat(pieces), large: true });
  }

  #answer(recorded: Recorded): SubmitReply {
    if (this.failure !== undefined) throw this.failure;
    this.submissions.push(recorded);
    return {
      status: this.status,
      queueId: recorded.request.envelope?.queueId ?? '',
      enhancedStatus: '',
      reason: '',
    };
  }
}

/** example.org is local, relay.example relayed, temporary.example cannot be resolved, all else is somewhere else. */
export class TestRewrite implements TrivialRewrite {
  asked = 0;

  async rewrite(requests: { address: string }[]): Promise<string[]> {
    return requests.map(({ address }) =>
      address.includes('@') || address === '' ? address : `${address}@example.org`,
    );
  }

  async resolve(requests: { address: string }[]): Promise<ResolveReply[]> {
    this.asked += requests.length;
    return requests.map(({ address }) => {
      const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
      const local = address.slice(0, address.lastIndexOf('@'));
      let flags: number = ResolveFlag.CLASS_DEFAULT;
      if (domain === 'example.org') flags = ResolveFlag.CLASS_LOCAL | ResolveFlag.FINAL;
      else if (domain === 'relay.example') flags = ResolveFlag.CLASS_RELAY;
      else if (domain === 'temporary.example') flags = ResolveFlag.FAIL;
      if (/[@%!]/.test(local)) flags |= ResolveFlag.ROUTED;
      return { transport: 'smtp', nexthop: domain, recipient: address, flags };
    });
  }
}

export interface TestSmtpd extends AsyncDisposable {
  readonly context: TestContext;
  readonly cleanup: RecordingCleanup;
  readonly rewrite: TestRewrite;
  readonly port: number;
  /** A connection whose greeting was read. */
  client(): Promise<TestClient>;
}

export async function startSmtpd(options: Partial<ContextOptions> = {}): Promise<TestSmtpd> {
  const cleanup = new RecordingCleanup();
  const rewrite = new TestRewrite();
  const context = await testContext({
    name: 'smtpd',
    ...options,
    mainCf: `mynetworks = 127.0.0.0/8\nlocal_recipient_maps =\nalias_maps =\n${options.mainCf ?? ''}`,
    clients: { cleanup: () => cleanup, rewrite: () => rewrite, ...options.clients },
  });
  const running = await service.start(context.service);
  const { port } = context.service.endpoints[0]!;
  return {
    context,
    cleanup,
    rewrite,
    port,
    client: async () => {
      const client = new TestClient(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
      await client.reply();
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      context.stop();
      await running[Symbol.asyncDispose]();
      await context[Symbol.asyncDispose]();
    },
  };
}

/** A client that sends what it is told, in the pieces that it is told. */
export class TestClient implements Disposable {
  readonly socket: Socket;
  /** Everything that the server sent, and that was not read as a reply. */
  #text = '';
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#text += text;
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  /** The next reply, lines joined by newlines; throws where the connection ends first. */
  async reply(): Promise<string> {
    for (;;) {
      const found = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.#text);
      if (found !== null) {
        this.#text = this.#text.slice(found[0].length);
        return found[0].trimEnd().replaceAll('\r\n', '\n');
      }
      if (this.#ended) throw new Error(`connection ended; left: ${JSON.stringify(this.#text)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes);
  }

  /** Sends a line and reads its reply. */
  async say(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return await this.reply();
  }

  /** EHLO, MAIL and RCPT. */
  async envelope(sender = 'sender@example.com', ...recipients: string[]): Promise<void> {
    await this.say('EHLO client.example.com');
    await this.say(`MAIL FROM:<${sender}>`);
    for (const recipient of recipients.length === 0 ? ['user@example.org'] : recipients) {
      await this.say(`RCPT TO:<${recipient}>`);
    }
  }

  /** Resolves with what was left when the server hangs up. */
  async end(): Promise<string> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#text;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
