/**
 * The protocols over gRPC: clients for services in other processes. Every call carries the fleet's token; between pods
 * the channel is TLS with both sides' certificates.
 *
 * Small submissions and deliveries share streams (pipeline.ts); a large submission is a stream of its own, so that its
 * content is never in memory as a whole.
 */
import { Channel } from '@grpc/grpc-js';
import {
  ChannelCredentials,
  type ChannelOptions,
  ClientError,
  createClientFactory,
  type Client as GrpcClient,
  Metadata,
} from 'nice-grpc';
import { AnvilServiceDefinition } from './generated/postfleet/v1/anvil.ts';
import { BounceServiceDefinition } from './generated/postfleet/v1/bounce.ts';
import { CleanupServiceDefinition, type SubmitPart } from './generated/postfleet/v1/cleanup.ts';
import { DeliveryServiceDefinition } from './generated/postfleet/v1/delivery.ts';
import { HealthServiceDefinition } from './generated/postfleet/v1/health.ts';
import { ProxymapServiceDefinition } from './generated/postfleet/v1/proxymap.ts';
import { QueueServiceDefinition } from './generated/postfleet/v1/queue.ts';
import { RewriteServiceDefinition } from './generated/postfleet/v1/rewrite.ts';
import { Pipeline } from './pipeline.ts';
import {
  type Anvil,
  type Bounce,
  type Cleanup,
  type DeliveryAgent,
  type DeliveryReply,
  type DeliveryRequest,
  type LookupReply,
  type LookupRequest,
  type Proxymap,
  type Queue,
  type SubmitReply,
  type SubmitRequest,
  type TrivialRewrite,
  Unavailable,
} from './protocols.ts';
import { FLEET_NAME } from './rpc-certificates.ts';

export const TOKEN_HEADER = 'postfleet-token';
/** Octets of one gRPC message: a batch of requests with inline content. */
export const MESSAGE_LIMIT = 64 * 1024 * 1024;

export interface RemoteOptions {
  /** "unix:/run/postfleet/{service}.sock", "dns:///postfleet-{service}:2600"; {service} is the master.cf name. */
  readonly address: string;
  readonly token: string;
  /** Left out: calls are not encrypted. */
  readonly credentials?: ChannelCredentials | undefined;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MESSAGE_LIMIT,
  'grpc.max_send_message_length': MESSAGE_LIMIT,
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
};

/** What went wrong, as a person wants to read it: without the path of the call. */
function reasonOf(error: unknown): string {
  if (error instanceof ClientError) return error.details;
  return error instanceof Error ? error.message : String(error);
}

/** Turns whatever the transport throws into Unavailable. */
async function available<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw error instanceof Unavailable ? error : new Unavailable(reasonOf(error), { cause: error });
  }
}

async function* availableStream<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (error) {
    throw new Unavailable(reasonOf(error), { cause: error });
  }
}

const options = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

function cleanupClient(client: GrpcClient<typeof CleanupServiceDefinition>): Cleanup {
  const pipeline = new Pipeline<SubmitRequest, SubmitReply>({
    open: (batches) => client.submit(batches),
    size: (request) => request.content.length + 512,
  });
  async function* parts(request: SubmitRequest, content: AsyncIterable<Buffer>): AsyncGenerator<SubmitPart> {
    yield { request, content: Buffer.alloc(0) };
    for await (const piece of content) yield { request: undefined, content: piece };
  }
  return {
    submit: (request, signal) => pipeline.call(request, signal),
    submitLarge: (request, content, signal) =>
      available(() => client.submitLarge(parts(request, content), options(signal))),
  };
}

function deliveryClient(client: GrpcClient<typeof DeliveryServiceDefinition>): DeliveryAgent {
  const pipeline = new Pipeline<DeliveryRequest, DeliveryReply>({
    open: (batches) => client.deliver(batches),
    size: (request) => request.content.length + 512,
  });
  return { deliver: (request, signal) => pipeline.call(request, signal) };
}

function rewriteClient(client: GrpcClient<typeof RewriteServiceDefinition>): TrivialRewrite {
  return {
    rewrite: async (requests, signal) =>
      (await available(() => client.rewrite({ requests }, options(signal)))).addresses,
    resolve: async (requests, signal) => (await available(() => client.resolve({ requests }, options(signal)))).replies,
  };
}

function bounceClient(client: GrpcClient<typeof BounceServiceDefinition>): Bounce {
  return {
    notify: async (requests, signal) => (await available(() => client.notify({ requests }, options(signal)))).replies,
  };
}

function anvilClient(client: GrpcClient<typeof AnvilServiceDefinition>): Anvil {
  return {
    count: async (requests, signal) => (await available(() => client.count({ requests }, options(signal)))).replies,
  };
}

function proxymapClient(client: GrpcClient<typeof ProxymapServiceDefinition>): Proxymap {
  const pipeline = new Pipeline<LookupRequest, LookupReply>({
    open: (batches) => client.lookup(batches),
    size: (request) => request.key.length + 64,
  });
  return { lookup: (request, signal) => pipeline.call(request, signal) };
}

function queueClient(client: GrpcClient<typeof QueueServiceDefinition>): Queue {
  async function* list(request: Parameters<Queue['list']>[0], signal?: AbortSignal) {
    for await (const { items } of availableStream(client.list(request, options(signal)))) yield items;
  }
  return {
    list,
    flush: (request, signal) => available(() => client.flush(request, options(signal))),
    delete: (request, signal) => available(() => client.delete(request, options(signal))),
    change: (request, signal) => available(() => client.change(request, options(signal))),
    read: (request, signal) => availableStream(client.read(request, options(signal))),
  };
}

/** Clients of remote services, one channel each, made when first asked for. */
export class RemoteClients implements AsyncDisposable {
  readonly #options: RemoteOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #clients = new Map<string, unknown>();
  readonly #factory;

  constructor(remote: RemoteOptions) {
    this.#options = remote;
    const metadata = (): Metadata => Metadata({ [TOKEN_HEADER]: remote.token });
    this.#factory = createClientFactory().use((call, callOptions) =>
      call.next(call.request, { ...callOptions, metadata: metadata() }),
    );
  }

  #channel(service: string): Channel {
    let channel = this.#channels.get(service);
    if (channel === undefined) {
      const address = this.#options.address.replaceAll('{service}', service);
      // Made by grpc-js itself: the wrapper of nice-grpc appends a port to "unix:/path".
      const { credentials } = this.#options;
      channel =
        credentials === undefined
          ? new Channel(address, ChannelCredentials.createInsecure(), CHANNEL_OPTIONS)
          : new Channel(address, credentials, { ...CHANNEL_OPTIONS, 'grpc.ssl_target_name_override': FLEET_NAME });
      this.#channels.set(service, channel);
    }
    return channel;
  }

  #client<T>(kind: string, service: string, make: (channel: Channel) => T): T {
    const key = `${kind}/${service}`;
    let client = this.#clients.get(key) as T | undefined;
    if (client === undefined) {
      client = make(this.#channel(service));
      this.#clients.set(key, client);
    }
    return client;
  }

  cleanup(service: string): Cleanup {
    return this.#client('cleanup', service, (channel) =>
      cleanupClient(this.#factory.create(CleanupServiceDefinition, channel)),
    );
  }

  rewrite(service: string): TrivialRewrite {
    return this.#client('rewrite', service, (channel) =>
      rewriteClient(this.#factory.create(RewriteServiceDefinition, channel)),
    );
  }

  bounce(service: string): Bounce {
    return this.#client('bounce', service, (channel) =>
      bounceClient(this.#factory.create(BounceServiceDefinition, channel)),
    );
  }

  queue(service: string): Queue {
    return this.#client('queue', service, (channel) =>
      queueClient(this.#factory.create(QueueServiceDefinition, channel)),
    );
  }

  anvil(service: string): Anvil {
    return this.#client('anvil', service, (channel) =>
      anvilClient(this.#factory.create(AnvilServiceDefinition, channel)),
    );
  }

  proxymap(service: string): Proxymap {
    return this.#client('proxymap', service, (channel) =>
      proxymapClient(this.#factory.create(ProxymapServiceDefinition, channel)),
    );
  }

  delivery(service: string): DeliveryAgent {
    return this.#client('delivery', service, (channel) =>
      deliveryClient(this.#factory.create(DeliveryServiceDefinition, channel)),
    );
  }

  async isReady(service: string, signal: AbortSignal): Promise<boolean> {
    const client = this.#client('health', service, (channel) => this.#factory.create(HealthServiceDefinition, channel));
    try {
      return (await client.check({}, { signal })).notReady.length === 0;
    } catch {
      // Who cannot be asked would do no work for us either.
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    this.#clients.clear();
  }
}
