/**
 * The skeleton of delivery agents: smtp(8), local(8), virtual(8), pipe(8), error(8), discard(8). An agent says how one
 * request is delivered; around it stand the guard against owners that lost their shard, the joining and repeating of
 * attempts (attempts.ts), the limit on deliveries at once (maxproc of the master.cf entry), the span of the delivery, the
 * metrics by transport, and the log line of each recipient (delivery-report.ts).
 *
 * A delivery goes on when its caller gives it up or vanishes: whoever takes the shard over asks again and joins it. It
 * ends with the service's own signal; the callers then get `Unavailable`, for the outcome is unknown.
 *
 * Logs an error, and defers what has no status, when an agent throws: no message is lost or bounced by a fault of ours.
 */
import type { DeliveryReply, DeliveryRequest } from '../clients/protocols.ts';
import { Unavailable } from '../clients/protocols.ts';
import { failure } from '../mail/dsn.ts';
import { ContentMissing } from '../queue/content.ts';
import { Attempts } from './attempts.ts';
import type { ServiceContext } from './context.ts';
import { DeliveryReport, type ReportCounters, type ReportSettings } from './delivery-report.ts';
import { rpcServer } from './rpc-server.ts';
import type { ServiceDefinition } from './service.ts';

export interface DeliveryHandler extends Partial<AsyncDisposable> {
  /**
   * Delivers one request: every recipient gets a status by `report.sent`, `report.deferred` or `report.bounced`, and
   * `report.reply()` is the answer. Recipients that have none in the end are deferred. `signal` is the service's.
   */
  deliver(request: DeliveryRequest, signal: AbortSignal, report: DeliveryReport): Promise<DeliveryReply>;
  ready?(): boolean | Promise<boolean>;
}

export interface DeliveryAgentTable {
  /** The daemon's name: "smtp". */
  readonly name: string;
  /** main.cf parameters that the agent reads itself. */
  readonly parameters: readonly string[];
  open(context: ServiceContext): Promise<DeliveryHandler>;
}

const REPORT_PARAMETERS = ['delay_logging_resolution_limit', 'info_log_address_format', 'soft_bounce'];

function reportSettings(context: ServiceContext): ReportSettings {
  const { configuration } = context;
  return {
    delayDecimals: configuration.integer('delay_logging_resolution_limit'),
    softBounce: configuration.boolean('soft_bounce'),
    externalAddresses: configuration.text('info_log_address_format') === 'external',
  };
}

function reportCounters(context: ServiceContext): ReportCounters {
  const { delivered, deferred, bounced } = context.metrics;
  const labels = { transport: context.name };
  const children = {
    delivered: delivered.labels(labels),
    deferred: deferred.labels(labels),
    bounced: bounced.labels(labels),
  };
  return {
    delivered: (count) => children.delivered.inc(count),
    deferred: (count) => children.deferred.inc(count),
    bounced: (count) => children.bounced.inc(count),
  };
}

/** Grants turns in the order in which they were asked for. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Undefined where a turn is free at once. */
  take(): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

export function deliveryAgent(table: DeliveryAgentTable): ServiceDefinition {
  return rpcServer({
    name: table.name,
    parameters: [...REPORT_PARAMETERS, ...table.parameters],
    async open(context) {
      const handler = await table.open(context);
      const agent = new Agent(context, handler);
      return {
        delivery: { deliver: (request: DeliveryRequest) => agent.deliver(request) },
        ready: () => handler.ready?.() ?? true,
        [Symbol.asyncDispose]: async () => {
          await agent.idle();
          await handler[Symbol.asyncDispose]?.();
        },
      };
    },
  });
}

class Agent {
  readonly #context: ServiceContext;
  readonly #handler: DeliveryHandler;
  readonly #attempts: Attempts;
  readonly #turns: Turns;
  readonly #settings: ReportSettings;
  readonly #counters: ReportCounters;
  readonly #spanName: string;
  readonly #underWay = new Set<Promise<DeliveryReply>>();

  constructor(context: ServiceContext, handler: DeliveryHandler) {
    this.#context = context;
    this.#handler = handler;
    this.#attempts = context.attempts ?? new Attempts();
    this.#turns = new Turns(context.processLimit > 0 ? context.processLimit : Number.POSITIVE_INFINITY);
    this.#settings = reportSettings(context);
    this.#counters = reportCounters(context);
    this.#spanName = `deliver ${context.name}`;
  }

  deliver(request: DeliveryRequest): Promise<DeliveryReply> {
    return this.#attempts.run(request, () => {
      const delivery = this.#inTurn(request);
      this.#underWay.add(delivery);
      return delivery.finally(() => this.#underWay.delete(delivery));
    });
  }

  /** Resolves when no delivery is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async #inTurn(request: DeliveryRequest): Promise<DeliveryReply> {
    const turn = this.#turns.take();
    if (turn !== undefined) await turn;
    try {
      if (this.#context.signal.aborted) throw new Unavailable(`${this.#context.name}: the service has ended`);
      // While the request waited, another owner may have taken the shard.
      if (this.#attempts.isStale(request)) return this.#attempts.refuse();
      return await this.#traced(request);
    } finally {
      this.#turns.give();
    }
  }

  async #traced(request: DeliveryRequest): Promise<DeliveryReply> {
    const span = this.#context.tracing.start(this.#spanName, request.traceparent);
    if (span === undefined) return this.#guarded(request);
    span.attribute('messaging.message.id', request.queueId);
    span.attribute('postfleet.nexthop', request.nexthop);
    span.attribute('postfleet.recipients', request.recipients.length);
    try {
      const reply = await this.#guarded(request);
      span.end(reply.destinationUnavailable?.reason);
      return reply;
    } catch (error) {
      span.end(String(error));
      throw error;
    }
  }

  async #guarded(request: DeliveryRequest): Promise<DeliveryReply> {
    const { log, signal } = this.#context;
    const report = new DeliveryReport(request, log, this.#settings, this.#counters);
    let reply: DeliveryReply;
    try {
      reply = await this.#handler.deliver(request, signal, report);
    } catch (error) {
      if (signal.aborted) throw new Unavailable(`${this.#context.name}: the service ended during a delivery`);
      const missing = error instanceof ContentMissing;
      if (missing) log.warning(`${request.queueId}: message content is not available: ${error.message}`);
      else log.error(`${request.queueId}: delivery failed unexpectedly: ${describe(error)}`);
      const dsn = failure('delayed', '4.3.0', missing ? 'message content is not available' : 'mail system error');
      for (const recipient of report.undone()) report.deferred(recipient, 'none', dsn);
      return report.reply();
    }
    const forgotten = report.undone();
    if (forgotten.length === 0) return reply;
    log.error(`${request.queueId}: ${forgotten.length} recipients were given no delivery status`);
    const dsn = failure('delayed', '4.3.0', 'unknown mail transport error');
    for (const recipient of forgotten) report.deferred(recipient, 'none', dsn);
    return { ...reply, recipients: report.reply().recipients };
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).replaceAll('\n', ' ') : String(error);
}
