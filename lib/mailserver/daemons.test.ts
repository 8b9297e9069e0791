import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERVICES } from '../../bin/services.ts';
import { NEEDLESS } from '../../services/master/plan.ts';
import { DAEMONS, NEEDLESS_DAEMONS } from './daemons.ts';

test('a fleet can run every daemon that the program has, and no other', () => {
  assert.deepEqual([...DAEMONS.keys()].sort(), [...SERVICES.keys()].sort());
});

test('daemons with nothing to do are the same on one machine and on many', () => {
  assert.deepEqual(NEEDLESS_DAEMONS, NEEDLESS);
});

test('what listens and what works a queue is built on the skeleton for it', async () => {
  for (const [name, load] of SERVICES) {
    const { skeleton } = await load();
    const kind = { tcpServer: 'inet', rpcServer: 'calls', queueWorker: 'queue', soloWorker: 'queue' }[skeleton];
    assert.equal(DAEMONS.get(name)?.kind, kind, name);
  }
});
