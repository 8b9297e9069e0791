import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('date.ts', import.meta.url));

/** The time zone belongs to the process, so each zone is asked in one of its own. */
function dateIn(zone: string, milliseconds: number): string {
  const script = `import { mailDate } from ${JSON.stringify(MODULE)}; console.log(mailDate(${milliseconds}));`;
  const env = { ...process.env, TZ: zone };
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8' }).trim();
}

test('dates are written in the zone of the process, with its offset', () => {
  const moment = Date.UTC(2026, 10, 22, 14, 7, 6, 999);
  assert.equal(dateIn('UTC', moment), 'Sun, 22 Nov 2026 14:07:06 +0000 (UTC)');
  assert.equal(dateIn('America/New_York', moment), 'Sun, 22 Nov 2026 09:07:06 -0500 (EST)');
  assert.equal(dateIn('Europe/Berlin', moment), 'Sun, 22 Nov 2026 15:07:06 +0100 (CET)');
  assert.equal(dateIn('Asia/Kolkata', moment), 'Sun, 22 Nov 2026 19:37:06 +0530 (IST)');
  assert.equal(dateIn('America/Sao_Paulo', moment), 'Sun, 22 Nov 2026 11:07:06 -0300 (-03)');
});
