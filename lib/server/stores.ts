/**
 * The connections of a process to NATS and Postgres, opened on first use and shared by all services in it.
 */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Pool } from 'pg';

export interface Nats {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
}

export interface Stores {
  /** Waits for the server, logging a warning once while it is away; rejects with FatalError when the URL is wrong. */
  nats(): Promise<Nats>;
  /** The pool; queries reject while the server is away. */
  postgres(): Promise<Pool>;
}
