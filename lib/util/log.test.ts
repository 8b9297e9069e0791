import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

/** Logs to a full disk, as standard output, and then to a file. */
const SCRIPT = `
  import { closeSync, openSync } from 'node:fs';
  const { createLog, flushLog } = await import(process.argv[1]);
  const output = (path) => {
    closeSync(1);
    openSync(path, 'a');
  };
  const log = createLog({ program: 'postfix/test', format: process.argv[3] });
  output('/dev/full');
  log.info('lost 1');
  log.info('lost 2');
  await new Promise((resolve) => setTimeout(resolve, 50));
  log.info('lost 3');
  flushLog();
  output(process.argv[2]);
  log.info('kept 1');
  flushLog();
  log.info('kept 2');
  flushLog();
`;

for (const format of ['postfix', 'json']) {
  test(`a log that cannot be written costs lines, not the process, and they are told of once (${format})`, (context) => {
    if (!existsSync('/dev/full')) {
      context.skip('there is no /dev/full here');
      return;
    }
    const directory = mkdtempSync(join(tmpdir(), 'postfleet-log-'));
    const file = join(directory, 'log');
    try {
      const script = ['--input-type=module', '-e', SCRIPT, join(import.meta.dirname, 'log.ts'), file, format];
      const { status, stderr } = spawnSync(process.execPath, script, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      const lines = readFileSync(file, 'utf8').split('\n');
      const text = lines.map((line) =>
        format === 'json' && line !== '' ? JSON.parse(line).message : line.replace(/^.*?\]: (warning: )?/, ''),
      );
      assert.match(text[0]!, /^3 lines of the log could not be written: ENOSPC/);
      assert.deepEqual(text.slice(1), ['kept 1', 'kept 2', '']);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}
