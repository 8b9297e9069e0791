import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { test } from 'node:test';

const ROOT = resolve(import.meta.dirname, '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((name) => name !== '' && !name.includes('/generated/'));

/** Relative imports of a file, as paths from the root. */
function imports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
    normalize(join(dirname(file), match[1]!)),
  );
}

const isTest = (file: string): boolean =>
  file.endsWith('.test.ts') || file.endsWith('-for-tests.ts') || file.startsWith('test/');

/** Where code of a room may come from. */
const ALLOWED: readonly { readonly room: RegExp; readonly from: readonly RegExp[] }[] = [
  { room: /^lib\/util\//, from: [/^lib\/util\//] },
  { room: /^lib\/mail\//, from: [/^lib\/(mail|util)\//] },
  { room: /^lib\//, from: [/^lib\//] },
  { room: /^services\//, from: [/^lib\//] },
  { room: /^operator\//, from: [/^lib\//, /^operator\//] },
  { room: /^cli\//, from: [/^lib\//, /^cli\//] },
];

test('dependencies go one way, and no service imports another', () => {
  const wrong: string[] = [];
  for (const file of files) {
    if (isTest(file)) continue;
    const rule = ALLOWED.find(({ room }) => room.test(file));
    if (rule === undefined) continue;
    const own = /^services\/[^/]+\//.exec(file)?.[0];
    for (const target of imports(file)) {
      const fine = rule.from.some((pattern) => pattern.test(target)) || (own !== undefined && target.startsWith(own));
      if (!fine) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('nothing but bin/ and lib/config/environment.ts reads the environment', () => {
  const readers = files.filter(
    (file) =>
      !isTest(file) &&
      !file.startsWith('bin/') &&
      !file.startsWith('tools/') &&
      /process\.env\b/.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  const allowed = new Set([
    'lib/config/environment.ts',
    'lib/server/open-tracing.ts',
    'lib/server/otlp-tracing.ts',
    'services/master/child.ts',
  ]);
  assert.deepEqual(
    readers.filter((file) => !allowed.has(file)),
    [],
  );
});

test('no file names the host of a package registry or a path of the machine that it was written on', () => {
  const marks = ['registry.npmjs' + '.org', 'proxy.golang' + '.org', '/wor' + 'k/main', '/wor' + 'k/shared'];
  const all = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && !name.endsWith('.png'));
  const found = all.flatMap((file) =>
    marks.filter((mark) => readFileSync(join(ROOT, file), 'latin1').includes(mark)).map((mark) => `${file}: ${mark}`),
  );
  assert.deepEqual(found, []);
});
