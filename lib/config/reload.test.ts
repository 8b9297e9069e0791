import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readSuccessor } from './reload.ts';
import { Configuration } from './settings.ts';

/** Reads a directory with one main.cf, then again with another. */
function replaced(context: TestContext, before: string, after: string) {
  const directory = mkdtempSync(join(tmpdir(), 'reload-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'main.cf'), before);
  const present = Configuration.load(directory, { environment: new Map() });
  writeFileSync(join(directory, 'main.cf'), after);
  const { configuration, errors, warnings } = readSuccessor(present, new Map());
  const relative = (lines: readonly string[]): string[] => lines.map((line) => line.replaceAll(`${directory}/`, ''));
  return { configuration, errors: relative(errors), warnings: relative(warnings) };
}

test('changed settings are in the next configuration', (context) => {
  const { configuration, warnings } = replaced(context, 'smtpd_banner = old\n', 'smtpd_banner = new\n');
  assert.equal(configuration?.text('smtpd_banner'), 'new');
  assert.deepEqual(warnings, []);
});

test('a wrong value means that there is no next configuration', (context) => {
  const { configuration, errors } = replaced(context, '', '\nsmtpd_hard_error_limit = many\n');
  assert.equal(configuration, undefined);
  assert.deepEqual(errors, [
    'main.cf, line 2: smtpd_hard_error_limit = many: bad value, expected a whole number from 1',
  ]);
});

test('a line that is no setting means that there is no next configuration', (context) => {
  const { configuration, errors } = replaced(context, '', 'myhostname mail.example.org\n');
  assert.equal(configuration, undefined);
  assert.match(errors.join('\n'), /^main\.cf, line 1: .*myhostname/);
});

test('what needs a restart keeps its value, and a warning names it', (context) => {
  const before = 'postfleet_shards = 2\n';
  const { configuration, warnings } = replaced(context, before, 'postfleet_shards = 4\ninet_interfaces = 127.0.0.1\n');
  assert.equal(configuration?.integer('postfleet_shards'), 2);
  assert.equal(configuration?.text('inet_interfaces'), 'all');
  assert.deepEqual(warnings, [
    'main.cf, line 2: inet_interfaces = 127.0.0.1: needs a restart; "all" stays in force',
    'main.cf, line 1: postfleet_shards = 4: needs a restart; "2" stays in force',
  ]);
});
