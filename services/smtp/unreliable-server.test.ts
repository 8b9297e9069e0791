/** Many deliveries to a server that breaks off at any moment: none is lost, and none is made twice without a reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent } from '../../test/support/delivery.ts';
import { type Conversation, scriptedServer } from '../../test/support/scripted-server.ts';
import { service } from './main.ts';

const SEED = 20_261_122;
const MESSAGES = 300;
const AT_ONCE = 15;

/** A small generator of numbers in 0 ≤ x < 1 that gives the same ones each time (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class UnreliableServer {
  /** How often each message was kept. */
  readonly kept = new Map<string, number>();
  /** Messages that were kept although the client never heard of it. */
  readonly unheard = new Set<string>();
  readonly #random = generator(SEED);

  #breaks(): boolean {
    return this.#random() < 0.04;
  }

  async serve(conversation: Conversation): Promise<void> {
    if (this.#breaks()) return;
    conversation.say('220 scripted.example ESMTP');
    for (;;) {
      const line = await conversation.line();
      if (line === undefined || this.#breaks()) return;
      if (line.startsWith('EHLO')) {
        conversation.say(this.#random() < 0.5 ? '250-hi\r\n250 PIPELINING' : '250 hi');
      } else if (line === 'DATA') {
        if (!(await this.#data(conversation))) return;
      } else if (this.#breaks()) {
        conversation.say('421 4.3.2 going down');
        return;
      } else {
        conversation.say('250 2.1.0 fine');
      }
    }
  }

  async #data(conversation: Conversation): Promise<boolean> {
    conversation.say('354 go on');
    const id = (await conversation.until('Message-Id: '))?.slice('Message-Id: '.length);
    if (id === undefined || this.#breaks() || !(await conversation.content()) || this.#breaks()) return false;
    this.kept.set(id, (this.kept.get(id) ?? 0) + 1);
    if (this.#breaks()) {
      this.unheard.add(id);
      return false;
    }
    conversation.say('250 2.0.0 kept');
    return true;
  }
}

test(`${MESSAGES} messages to a server that breaks off at random (seed ${SEED})`, async () => {
  const unreliable = new UnreliableServer();
  await using server = await scriptedServer((conversation) => unreliable.serve(conversation));
  await using agent = await startAgent(service, { mainCf: '' });
  const nexthop = `[127.0.0.1]:${server.port}`;
  let next = 0;
  const worker = async () => {
    while (next < MESSAGES) {
      const id = `<${next++}@example.com>`;
      const content = Buffer.from(`Message-Id: ${id}\nSubject: test\n\nhello\n`);
      for (;;) {
        const reply = await agent.deliver({ nexthop, content }, 'a@example.org');
        if (reply.recipients[0]!.status === DeliveryStatus.SENT) break;
        assert.equal(reply.recipients[0]!.status, DeliveryStatus.DEFERRED);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  assert.equal(unreliable.kept.size, MESSAGES);
  const twice = [...unreliable.kept].filter(([, times]) => times > 1).map(([id]) => id);
  for (const id of twice) assert.ok(unreliable.unheard.has(id), `${id} was delivered twice without a reason`);
  // The troubles have to be there, or nothing is shown.
  assert.ok(unreliable.unheard.size > 0);
  assert.ok(agent.lines.some((line) => line.includes('message may be sent more than once')));
  assert.ok(agent.lines.some((line) => line.includes(' conn_use=')));
});
