import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { checkManifest } from './mail-server.ts';
import { main } from './main.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/mailserver.yaml');
const example = readFileSync(EXAMPLE, 'utf8');

const lineOf = (text: string, word: string): number => text.split('\n').findIndex((line) => line.includes(word)) + 1;

test('the example has nothing wrong, and nothing remarkable', () => {
  assert.deepEqual(checkManifest('mailserver.yaml', example), []);
});

const WRONG: readonly {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  readonly says: RegExp;
  /** A word of the line that is named, where that is not the changed one. */
  readonly at?: string;
}[] = [
  {
    what: 'a number out of range in main.cf',
    from: 'message_size_limit: "26214400"',
    to: 'message_size_limit: "many"',
    says: /spec\.mainCf\.message_size_limit: .*many/,
  },
  {
    what: 'a field that there is not',
    from: 'deletionPolicy: Retain',
    to: 'deletePolicy: Retain',
    says: /deletePolicy/,
  },
  {
    what: 'a value that there is not',
    from: 'deletionPolicy: Retain',
    to: 'deletionPolicy: Keep',
    says: /spec\.deletionPolicy: /,
  },
  {
    what: 'a wrong version',
    from: 'postfleet.dev/v1alpha1',
    to: 'postfleet.dev/v1',
    says: /expected apiVersion postfleet\.dev\/v1alpha1/,
    at: 'kind: MailServer',
  },
];
for (const { what, from, to, says, at = to } of WRONG) {
  test(`${what} is found, with its line`, () => {
    const text = example.replace(from, to);
    assert.notEqual(text, example);
    const [first] = checkManifest('m.yaml', text).filter(({ severity }) => severity === 'error');
    assert.match(first?.text ?? '', says);
    assert.equal(first?.text.split(':')[1], String(lineOf(text, at)));
  });
}

test('fields within lists and maps are known too, and those that are free are not looked into', () => {
  const text = example
    .replace('replicas: 2', 'replicas: 2\n      replica: 3\n      podTemplate: { spec: { anything: true } }')
    .replace('service: smtp, port: 25', 'service: smtp, port: 25, prot: tcp');
  assert.deepEqual(
    checkManifest('m.yaml', text).map((problem) => problem.text.replace(/^m.yaml:\d+: /, '')),
    ['spec.services.smtpd.replica: there is no such field', 'spec.ingress.ports[0].prot: there is no such field'],
  );
});

test('a mistake is on the line of its field, in the second document too', () => {
  const text = `kind: ConfigMap\n---\n${example.replace('"26214400"', 'x')}`;
  const [first] = checkManifest('m.yaml', text);
  assert.equal(first?.text.split(':')[1], String(lineOf(text, 'message_size_limit')));
});

test('a file that is no YAML is said to be so, with the line', () => {
  const [first] = checkManifest('m.yaml', 'kind: MailServer\nspec: {mainCf: [}\n');
  assert.match(first?.text ?? '', /^m\.yaml:2: /);
});

test('a file without a MailServer is a mistake', () => {
  assert.deepEqual(checkManifest('m.yaml', 'kind: ConfigMap\n'), [
    { severity: 'error', text: 'm.yaml: there is no MailServer in it' },
  ]);
  assert.equal(checkManifest('m.yaml', '')[0]?.severity, 'error');
});

async function check(argv: readonly string[], input = ''): Promise<{ status: number; stderr: string }> {
  let stderr = '';
  const stdin = Readable.from([Buffer.from(input)]);
  const status = await main(argv, { stdin, stderr: { write: (text: string) => (stderr += text) }, environment: {} });
  return { status, stderr };
}

test('postfleet check -f reads a file or standard input, and ends with 78 for a mistake', async () => {
  assert.deepEqual(await check(['-f', EXAMPLE]), { status: 0, stderr: '' });
  const wrong = await check(['-f', '-'], example.replace('"26214400"', 'x'));
  assert.equal(wrong.status, 78);
  assert.match(wrong.stderr, /^postfleet\/check: error: standard input:\d+: spec\.mainCf\.message_size_limit: /);
  const missing = await check(['-f', '/nonexistent.yaml']);
  assert.equal(missing.status, 66);
  assert.match(missing.stderr, /fatal: .*nonexistent/);
  assert.equal((await check(['-f', EXAMPLE, '-c', '/etc/postfix'])).status, 64);
});
