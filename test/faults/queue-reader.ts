/** Asks showq for the queue, again and again, as an operator's monitoring would: so that showq has work when it is killed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RemoteClients } from '../../lib/clients/grpc.ts';

export class QueueReader {
  /** Listings under way. */
  open = 0;

  /** Until the signal. A listing that breaks off is asked for again. */
  async run(state: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const { parameters } = JSON.parse(readFileSync(join(state, 'run', 'instance.json'), 'utf8')) as {
          parameters: { postfleet_rpc_address: string; postfleet_rpc_token_file: string };
        };
        const token = readFileSync(parameters.postfleet_rpc_token_file, 'utf8').trim();
        await using clients = new RemoteClients({ address: parameters.postfleet_rpc_address, token });
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
