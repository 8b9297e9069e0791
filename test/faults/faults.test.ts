import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { balance, passes, summary } from './ledger.ts';
import { seeded } from './random.ts';
import { run } from './run.ts';

const SEED = 20_261_122;
const TAKEOVER_LIMIT = 5;

for (const shape of ['one', 'many'] as const) {
  test(`nothing is lost while processes are killed, ${shape === 'one' ? 'all services in one process' : 'each service a process'}`, {
    timeout: 280_000,
  }, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'postfleet-faults-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const { records, takeovers, crashes } = await run({
      shape,
      directory,
      messages: 300,
      kills: 4,
      random: seeded(SEED),
      say: (line) => t.diagnostic(line),
      progress: () => undefined,
    });
    const verdict = balance(records);
    t.diagnostic(summary(verdict, records.kills.length));
    const unexplained = verdict.duplicates.filter(({ cause }) => cause === undefined);
    const { lost, damaged, wronglyBounced } = verdict;
    assert.deepEqual(
      { lost, damaged, wronglyBounced, unexplained },
      { lost: [], damaged: [], wronglyBounced: [], unexplained: [] },
    );
    assert.deepEqual(crashes, [], 'processes ended that nobody killed');
    assert.ok(passes(verdict));
    assert.equal(verdict.queued, 0, 'what every next hop takes is still queued');
    assert.equal(verdict.accepted + verdict.unknown, 300);
    assert.equal(records.kills.length, 4);
    if (shape === 'many') assert.ok(takeovers.length > 0);
    for (const { seconds } of takeovers) assert.ok(seconds <= TAKEOVER_LIMIT, `a takeover took ${seconds} s`);
  });
}
