/**
 * A service context for tests: a configuration from the text of a main.cf, a log that is kept, and whatever the test gives
 * in `overrides`. A warning or an error that the test did not declare fails it when the context is disposed of.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { Configuration } from '../../lib/config/settings.ts';
import { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Clients, ServiceContext } from '../../lib/server/context.ts';
import { createMetrics } from '../../lib/server/metrics.ts';
import type { Endpoint } from '../../lib/server/tcp-server.ts';
import { NO_TRACING } from '../../lib/server/tracing.ts';
import { createLog } from '../../lib/util/log.ts';

export interface ContextOptions {
  readonly name: string;
  /** Lines of main.cf; myhostname and compatibility_level are given. */
  readonly mainCf?: string;
  readonly clients?: Partial<Clients>;
  /** Parts of warnings and errors that are to be expected. */
  readonly warnings?: readonly (string | RegExp)[];
  readonly overrides?: Partial<ServiceContext>;
}

export interface TestContext extends AsyncDisposable {
  readonly service: ServiceContext & { readonly endpoints: readonly Endpoint[] };
  /** Log lines, `warning: ` and the like in front. */
  readonly lines: string[];
  /** Resolves when a line holds the text. */
  logged(text: string | RegExp): Promise<string>;
  drain(): void;
  stop(): void;
}

/** Milliseconds to wait for a log line. */
const LOG_TIMEOUT = 10_000;

function missing(what: string): never {
  throw new Error(`the test has no ${what}`);
}

function holds(line: string, text: string | RegExp): boolean {
  return typeof text === 'string' ? line.includes(text) : text.test(line);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : missing('port');
}

export async function testContext(options: ContextOptions): Promise<TestContext> {
  const lines: string[] = [];
  const waiting = new Set<{ text: string | RegExp; resolve: (line: string) => void }>();
  const draining = new AbortController();
  const ended = new AbortController();
  const log = createLog({
    program: `postfix/${options.name}`,
    format: 'postfix',
    write: () => undefined,
    observe: (level, text) => {
      const line = level === 'info' || level === 'debug' ? text : `${level}: ${text}`;
      lines.push(line);
      for (const wait of waiting) {
        if (!holds(line, wait.text)) continue;
        waiting.delete(wait);
        wait.resolve(line);
      }
    },
  });
  const clients: Clients = {
    cleanup: () => missing('cleanup'),
    rewrite: () => missing('trivial-rewrite'),
    bounce: () => missing('bounce'),
    queue: () => missing('queue'),
    anvil: () => missing('anvil'),
    proxymap: () => missing('proxymap'),
    delivery: () => undefined,
    isReady: async () => true,
    ...options.clients,
  };
  const service = {
    name: options.name,
    argv: [],
    configuration: Configuration.fromText(
      `myhostname = mail.example.org\ncompatibility_level = 3.12\n${options.mainCf ?? ''}`,
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
    content: { read: () => missing('content') },
    entries: { read: () => missing('log'), readBytes: () => missing('log') },
    written: new WrittenFrames(),
    draining: draining.signal,
    signal: ended.signal,
    endpoints: [{ host: '127.0.0.1', port: await freePort() }],
    ...options.overrides,
  };
  return {
    service,
    lines,
    logged: (text) => {
      const found = lines.find((line) => holds(line, text));
      if (found !== undefined) return Promise.resolve(found);
      return new Promise((resolve, reject) => {
        const wait = { text, resolve };
        waiting.add(wait);
        const timer = setTimeout(() => {
          if (waiting.delete(wait)) reject(new Error(`no log line holds ${text}; there are:\n${lines.join('\n')}`));
        }, LOG_TIMEOUT);
        timer.unref();
      });
    },
    drain: () => draining.abort(),
    stop: () => {
      draining.abort();
      ended.abort();
    },
    [Symbol.asyncDispose]: async () => {
      draining.abort();
      ended.abort();
      const declared = options.warnings ?? [];
      const surprises = lines.filter(
        (line) => /^(warning|error|fatal|panic): /.test(line) && !declared.some((text) => holds(line, text)),
      );
      assert.deepEqual(surprises, [], 'warnings that the test did not declare');
    },
  };
}
