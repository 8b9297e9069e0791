/**
 * Compares `postconf -d` with that of Debian's Postfix package: the differences are those that docs/conformance.md lists.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { main } from '../../cli/postconf/main.ts';

const debianPostconf = '/usr/sbin/postconf';
const page = new URL('../../docs/conformance.md', import.meta.url);

/** Names and defaults from the lines of postconf. */
function parse(text: string): Map<string, string> {
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, name = '', value = ''] = /^(\S+) =(?: (.*))?$/.exec(line)!;
        return [name, value] as const;
      }),
  );
}

/** An empty configuration: parameters of services do not count. */
function emptyConfiguration(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'defaults-'));
  context.after(() => rmSync(directory, { recursive: true }));
  for (const name of ['main.cf', 'master.cf']) writeFileSync(join(directory, name), '');
  return directory;
}

async function ownDefaults(directory: string): Promise<Map<string, string>> {
  let out = '';
  const status = await main(['-d', '-c', directory], {
    stdin: process.stdin,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => assert.fail(text) },
    environment: {},
  });
  assert.equal(status, 0);
  return parse(out);
}

/** Names in the table of the page's section on defaults. */
function listedDifferences(): string[] {
  const [, section = ''] = readFileSync(page, 'utf8').split("## Defaults that differ from Debian's Postfix 3.7\n");
  return [...section.split('\n## ')[0]!.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!);
}

test("defaults are those of Debian's Postfix apart from the differences listed", async (context) => {
  if (!existsSync(debianPostconf)) return context.skip(`${debianPostconf} is not installed`);
  const directory = emptyConfiguration(context);
  const debian = parse(execFileSync(debianPostconf, ['-d', '-c', directory], { encoding: 'utf8' }));
  if (!debian.get('mail_version')?.startsWith('3.7.')) return context.skip('this is not Postfix 3.7');
  const own = await ownDefaults(directory);
  const different = [...debian]
    .filter(([name, value]) => own.has(name) && own.get(name) !== value)
    .map(([name]) => name);
  assert.deepEqual(different.sort(), listedDifferences().sort());
});

test("names that Debian's Postfix has and this has not are listed", async (context) => {
  if (!existsSync(debianPostconf)) return context.skip(`${debianPostconf} is not installed`);
  const directory = emptyConfiguration(context);
  const debian = parse(execFileSync(debianPostconf, ['-d', '-c', directory], { encoding: 'utf8' }));
  const own = await ownDefaults(directory);
  const text = readFileSync(page, 'utf8');
  for (const name of debian.keys()) assert.ok(own.has(name) || text.includes(`\`${name}\``), name);
});
