/**
 * A delivery agent on its own, for tests: a service context made from the text of a main.cf, delivery requests with
 * content at hand, and the log lines that come of it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  Cleanup,
  DeliveryAgent,
  DeliveryReply,
  DeliveryRequest,
  TrivialRewrite,
} from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import type { ContentReader, ContentSource } from '../../lib/queue/content.ts';
import { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Clients, ServiceContext } from '../../lib/server/context.ts';
import { createMetrics } from '../../lib/server/metrics.ts';
import type { RunningService, ServiceDefinition } from '../../lib/server/service.ts';
import { NO_TRACING } from '../../lib/server/tracing.ts';
import { createLog } from '../../lib/util/log.ts';

export interface AgentOptions {
  mainCf: string;
  name?: string;
  argv?: readonly string[];
  cleanup?: Cleanup;
  rewrite?: TrivialRewrite;
  agents?: Readonly<Record<string, DeliveryAgent>>;
  signal?: AbortSignal;
}

export interface TestAgent extends AsyncDisposable {
  /** Log lines, "warning: " and the like in front. */
  readonly lines: string[];
  readonly running: RunningService;
  deliver(request: Partial<DeliveryRequest> & { content: Buffer }, ...recipients: string[]): Promise<DeliveryReply>;
}

/** Gives the content in pieces of this size, as large content comes from its chunks. */
const PIECE = 1000;

const inlineContent: ContentReader = {
  async *read(source: ContentSource): AsyncGenerator<Buffer> {
    for (let from = 0; from < source.content.length; from += PIECE) yield source.content.subarray(from, from + PIECE);
  },
};

function missing(what: string): never {
  throw new Error(`the test has no ${what}`);
}

export function testContext(options: AgentOptions & { lines: string[]; name: string }): ServiceContext {
  const clients: Clients = {
    cleanup: () => options.cleanup ?? missing('cleanup'),
    rewrite: () => options.rewrite ?? missing('trivial-rewrite'),
    bounce: () => missing('bounce'),
    queue: () => missing('queue'),
    anvil: () => missing('anvil'),
    proxymap: () => missing('proxymap'),
    delivery: (transport) => options.agents?.[transport],
    isReady: async () => true,
  };
  const log = createLog({
    program: `postfix/${options.name}`,
    format: 'postfix',
    write: () => {},
    observe: (level, text) => options.lines.push(level === 'info' ? text : `${level}: ${text}`),
  });
  return {
    name: options.name,
    argv: options.argv ?? [],
    configuration: Configuration.fromText(
      `myhostname = mail.example.org\ncompatibility_level = 3.12\n${options.mainCf}`,
    ),
    processLimit: 100,
    log,
    metrics: createMetrics(),
    tracing: NO_TRACING,
    clients,
    stores: {
      nats: () => missing('NATS'),
      postgres: () => missing('Postgres'),
    },
    content: inlineContent,
    written: new WrittenFrames(),
    entries: {
      read: () => missing('log'),
      readBytes: () => missing('log'),
    },
    draining: options.signal ?? new AbortController().signal,
    signal: options.signal ?? new AbortController().signal,
  };
}

let attempts = 0;

/** Starts a delivery agent. */
export async function startAgent(service: ServiceDefinition, options: AgentOptions): Promise<TestAgent> {
  const lines: string[] = [];
  const running = await service.start(testContext({ ...options, name: options.name ?? service.name, lines }));
  return {
    lines,
    running,
    deliver: (request, ...recipients) => running.implementation.delivery!.deliver(makeRequest(request, recipients)),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function makeRequest(
  request: Partial<DeliveryRequest> & { content: Buffer },
  recipients: readonly string[],
): DeliveryRequest {
  const now = Date.now() * 1000;
  return {
    attempt: { shard: 0, epoch: 1, id: `attempt ${++attempts}` },
    transport: 'test',
    nexthop: 'example.org',
    queueId: '4TestQueueId',
    sender: 'sender@example.com',
    recipients: recipients.map((address, offset) => ({
      offset,
      address,
      originalAddress: '',
      dsnOriginalRecipient: '',
      dsnNotify: 0,
    })),
    arrivalTime: now,
    activeTime: now,
    encoding: '',
    smtputf8: false,
    dsnEnvid: '',
    dsnRet: '',
    contentSize: request.content.length,
    contentReference: undefined,
    client: undefined,
    traceparent: '',
    traceFlags: 0,
    rewriteContext: 'local',
    ...request,
  };
}

/** An empty directory that goes with the test. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'postfleet-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** What stands between the parentheses of the log line, and what came before. */
export function statusOf(reply: DeliveryReply): string[] {
  return reply.recipients.map(({ notification }) => `${notification!.status} ${notification!.reason}`);
}
