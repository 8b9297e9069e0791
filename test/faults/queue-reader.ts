/**
 * Asks showq for the queue, again and again, as an operator's monitoring would: so that showq has work when it is killed. And for
 * the content of what is left in it at the end.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { RemoteClients } from '../../lib/clients/grpc.ts';
import { announced } from './announced.ts';

/** Clients of the services of the instance with that state directory. */
function clientsOf(state: string): RemoteClients {
  const { parameters } = announced(state);
  const token = readFileSync(parameters.postfleet_rpc_token_file!, 'utf8').trim();
  return new RemoteClients({ address: parameters.postfleet_rpc_address!, token });
}

/** The contents, as latin1, of messages that are in the queue, by queue id; those that cannot be read are left out. */
export async function queuedContents(state: string, queueIds: ReadonlySet<string>): Promise<Map<string, string>> {
  await using clients = clientsOf(state);
  const queue = clients.queue('showq');
  const contents = new Map<string, string>();
  for (const queueId of queueIds) {
    const pieces: Buffer[] = [];
    try {
      for await (const { content } of queue.read({ queueId })) pieces.push(content);
    } catch {
      continue;
    }
    contents.set(queueId, Buffer.concat(pieces).toString('latin1'));
  }
  return contents;
}

export class QueueReader {
  /** Listings under way. */
  open = 0;

  /** Until the signal. A listing that breaks off is asked for again. */
  async run(state: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await using clients = clientsOf(state);
        while (!signal.aborted) await this.#list(clients);
      } catch {
        await delay(100, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #list(clients: RemoteClients): Promise<void> {
    this.open++;
    try {
      for await (const items of clients.queue('showq').list({ queueId: '' })) void items;
    } finally {
      this.open--;
    }
    await delay(20);
  }
}
