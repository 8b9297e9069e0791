// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { main } from './main.ts';

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function directory(context: TestContext, mainCf: string, masterCf = ''): string {
  const path = mkdtempSync(join(tmpdir(), 'postconf-'));
  context.after(() => rmSync(path, { recursive: true }));
  writeFileSync(join(path, 'main.cf'), mainCf);
  writeFileSync(join(path, 'master.cf'), masterCf);
  return path;
}

async function postconf(argv: string[], environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  let [out, err] = ['', ''];
  const status = await main(argv, {
    stdin: process.stdin,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    environment,
  });
  return { status, out, err };
}

const edits: [situation: string, before: string, argv: string[], after: string][] = [
  [
    'a setting is replaced with its continuation lines, comments stay',
    '# a\nx = 1\n  # in\n  2\n\ny = 3\n',
    ['x=4'],
    '# a\nx = 4\n  # in\n\ny = 3\n',
  ],
  ['a setting that is not there comes last', 'x = 1', ['-e', 'y =  a  b '], 'x = 1\ny = a  b\n'],
  ['an empty value is written', 'x = 1\n', ['x='], 'x = \n'],
  [
    'a setting is commented out with its continuation lines',
    'x = 1\n  2\ny = 3\n',
    ['-#', 'x'],
    '#x = 1\n#  2\ny = 3\n',
  ],
  ['a setting is removed with its continuation lines', 'x = 1\n  2\n# c\n  3\ny = 3\n', ['-X', 'x'], '# c\ny = 3\n'],
  ['a name that is part of another stays', 'xx = 1\nx = 2\n', ['x=3'], 'xx = 1\nx = 3\n'],
  ['bytes that are not UTF-8 stay', '# \xe9\nx = \xff\n', ['y=\u00e4'], '# \xe9\nx = \xff\ny = \xc3\xa4\n'],
];

for (const [situation, before, argv, after] of edits) {
  test(situation, async (context) => {
    const path = directory(context, '');
    writeFileSync(join(path, 'main.cf'), before, 'latin1');
    chmodSync(join(path, 'main.cf'), 0o640);
    assert.deepEqual(await postconf(['-c', path, ...argv]), { status: 0, out: '', err: '' });
    assert.equal(readFileSync(join(path, 'main.cf'), 'latin1'), after);
    assert.equal(statSync(join(path, 'main.cf')).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(path).sort(), ['main.cf', 'master.cf']);
  });
}

const masterCf = `# head
smtp inet n - n - - smtpd
  -o a=1
  # inside
  -o b=2
# tail
pipe unix - n n - - pipe
  flags=R argv=/bin/x \${sender}
`;

const masterEdits: [situation: string, argv: string[], after: string][] = [
  [
    'a field is replaced, comments stay',
    ['-F', 'smtp/inet/chroot=y'],
    '# head\n  # inside\nsmtp       inet  n       -       y       -       -       smtpd\n    -o a=1\n    -o b=2\n# tail\npipe unix - n n - - pipe\n  flags=R argv=/bin/x ${sender}\n',
  ],
  [
    'a parameter goes before the arguments of the command',
    ['-P', 'pipe/unix/x=a b'],
    `${masterCf.slice(0, masterCf.indexOf('pipe unix'))}pipe       unix  -       n       n       -       -       pipe\n    -o {x=a b}\n    flags=R argv=/bin/x \${sender}\n`,
  ],
  [
    'an entry is removed, its comments stay',
    ['-MX', 'smtp/*'],
    `# head\n  # inside\n${masterCf.slice(masterCf.indexOf('# tail'))}`,
  ],
  [
    'an entry is commented out',
    ['-M#', 'pipe/unix'],
    masterCf.replace('pipe unix', '#pipe unix').replace('  flags=', '#  flags='),
  ],
];

for (const [situation, argv, after] of masterEdits) {
  test(situation, async (context) => {
    const path = directory(context, '', masterCf);
    assert.deepEqual(await postconf(['-c', path, ...argv]), { status: 0, out: '', err: '' });
    assert.equal(readFileSync(join(path, 'master.cf'), 'utf8'), after);
  });
}

test('an edit with a mistake changes nothing', async (context) => {
  const path = directory(context, 'x = 1\n', masterCf);
  for (const argv of [
    ['x=2', 'bad name=3'],
    ['-F', 'smtp/inet/chroot=y', 'smtp/inet/wakeup=z'],
    ['-P', 'smtp/inet/*=1'],
  ]) {
    const { status, err } = await postconf(['-c', path, ...argv]);
    assert.equal(status, 1);
    assert.match(err, /^postconf: fatal: /);
  }
  assert.equal(readFileSync(join(path, 'main.cf'), 'utf8'), 'x = 1\n');
  assert.equal(readFileSync(join(path, 'master.cf'), 'utf8'), masterCf);
});

test('a request that matches nothing is a warning', async (context) => {
  const path = directory(context, '', 'pipe unix - n n - - pipe\n');
  assert.equal((await postconf(['-c', path, '-M', 'nosuch'])).err, 'postconf: warning: unmatched request: "nosuch"\n');
  assert.equal(
    (await postconf(['-c', path, '-F', 'nosuch/unix/chroot=y'])).err,
    'postconf: warning: unmatched service_name/type: "nosuch/unix/chroot=y"\n',
  );
});

test('MAIL_CONFIG names the directory, and variables set own parameters', async (context) => {
  const path = directory(context, 'myorigin = here\npostfleet_shards = 2\n');
  const environment = { MAIL_CONFIG: path, POSTFLEET_SHARDS: '3' };
  assert.deepEqual(await postconf(['-h', 'myorigin', 'postfleet_shards'], environment), {
    status: 0,
    out: 'here\n3\n',
    err: '',
  });
});

test('defaults are shown without main.cf', async () => {
  assert.deepEqual(await postconf(['-d', '-C', 'builtin', 'mydestination', 'smtpd_timeout']), {
    status: 0,
    out: 'mydestination = $myhostname, localhost.$mydomain, localhost\nsmtpd_timeout = ${stress?{10}:{300}}s\n',
    err: '',
  });
});

test('with -v it says who reads each parameter, or why it has no effect', async (context) => {
  const path = directory(context, 'max_use = 3\nrelayhost = [a]\n');
  const { out, err } = await postconf(['-c', path, '-nv']);
  assert.equal(out, `config_directory = ${path}\nmax_use = 3\nrelayhost = [a]\n`);
  assert.match(err, /^postconf: max_use has no effect here: Services run until they are stopped/m);
  assert.match(err, /^postconf: relayhost is read by .*trivial-rewrite/m);
});

test('an override takes part in expansion', async (context) => {
  const path = directory(context, '');
  assert.equal((await postconf(['-c', path, '-x', '-o', 'stress=yes', 'smtpd_timeout'])).out, 'smtpd_timeout = 10s\n');
});

test('a name that nobody knows is a warning, not an empty value', async (context) => {
  const path = directory(context, '');
  assert.deepEqual(await postconf(['-c', path, 'nosuch']), {
    status: 0,
    out: '',
    err: 'postconf: warning: nosuch: unknown parameter\n',
  });
});

const refusals: [argv: string[], message: string][] = [
  [['-d', '-n'], 'specify one of -d -n'],
  [['-M', '-h'], 'with option -M, do not specify -h'],
  [['-M', 'a/b/c'], '-M option requires service_name[/type]'],
  [['-M', 'a/b/c=d'], '-Me, -MX or -M# requires service_name/type'],
  [['-F', 'a/unix/nosuch'], 'invalid service attribute name: "nosuch"'],
  [['-C', 'nosuch'], 'unknown -C option value "nosuch" in "nosuch"'],
  [['-o', 'nosuch'], "invalid parameter override: nosuch: missing '=' after attribute name"],
  [['-X', 'a=b'], 'specify one of -e -X'],
  [['-e', 'a'], `missing '=' after attribute name: "a"`],
  [['a=b\nc=d'], '-e, -X, or -# accepts no multi-line input'],
];

for (const [argv, message] of refusals) {
  test(`${JSON.stringify(argv)} is refused`, async (context) => {
    const path = directory(context, '');
    assert.deepEqual(await postconf(['-c', path, ...argv]), {
      status: 1,
      out: '',
      err: `postconf: fatal: ${message}\n`,
    });
  });
}
