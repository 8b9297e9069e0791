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
    'an entry that replaces another stands before its comments',
    ['-M', 'smtp/inet=smtp inet n - n - - smtpd'],
    `${masterCf.slice(0, masterCf.indexOf('smtp'))}smtp       inet  n       -       n       -       -       smtpd\n  # inside\n${masterCf.slice(masterCf.indexOf('# tail'))}`,
  ],
  [
    'an entry replaces all that match',
    ['-M', '*/*=a unix - - - - - b'],
    '# head\na          unix  -       -       -       -       -       b\n  # inside\n# tail\n',
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

interface Shown {
  readonly situation: string;
  readonly mainCf?: string;
  readonly masterCf?: string;
  readonly argv: string[];
  /** Without the directory in front of file names. */
  readonly err?: string[];
  readonly out?: string[];
  readonly status?: number;
}

const service = 'x unix - - - - - ';
const shownService = 'x          unix  -       -       -       -       -       ';

const shown: Shown[] = [
  {
    situation: 'an expression that cannot be read ends the command, whatever was asked for',
    mainCf: 'relayhost = ${a b}\n',
    argv: ['-h', 'myorigin'],
    err: [
      'warning: attribute name syntax error at: "...a>>> b"',
      'warning: attribute name syntax error at: "...a>>> b"',
      'fatal: macro processing error',
    ],
    status: 1,
  },
  {
    situation: 'so does one in master.cf',
    masterCf: `${service}smtpd -o relayhost=\${{a}==no{b}}\n`,
    argv: ['-M'],
    err: [
      'warning: bad operator suffix at: "...==>>>no"',
      'warning: bad operator suffix at: "...==>>>no"',
      'fatal: macro processing error',
    ],
    status: 1,
  },
  {
    situation: 'an expression that cannot be read does no harm in a name that nothing reads',
    mainCf: 'mine = ${\n',
    argv: ['-h', 'relayhost'],
    err: ['warning: truncated macro reference: "${"', 'warning: main.cf: unused parameter: mine=${'],
    out: [''],
  },
  {
    situation: 'names that stand behind references are found: restriction classes, tables',
    mainCf:
      'smtpd_restriction_classes = $c\nc = one\none = permit\nvirtual_alias_maps = ldap:$t\nt = p\np_bind_pw = x\n',
    argv: ['-h', 'relayhost'],
    out: [''],
  },
  {
    situation: 'braces in a list of restriction classes are names',
    mainCf: 'smtpd_restriction_classes = { one }\none = permit\n',
    argv: ['-h', 'relayhost'],
    err: ['warning: main.cf: undefined parameter: {', 'warning: main.cf: undefined parameter: }'],
    out: [''],
  },
  {
    situation: 'what is wrong in main.cf is said with master.cf too, after what is wrong there',
    mainCf: 'relayhost = $a\n',
    masterCf: `${service}smtpd -o relayhost=$b\n`,
    argv: ['-Ph'],
    err: ['warning: master.cf: undefined parameter: b', 'warning: main.cf: undefined parameter: a'],
    out: ['$b'],
  },
  {
    situation: 'what a process sets for itself cannot be set',
    mainCf: 'service_name = x\n',
    argv: ['-n', 'service_name', 'relayhost'],
    err: ['warning: main.cf: read-only parameter assignment: service_name=x'],
  },
  {
    situation: 'a line of master.cf that continues nothing is left out',
    masterCf: ` ${service}smtpd\n`,
    argv: ['-M'],
    err: [`warning: master.cf: logical line must not start with whitespace: " ${service}smtpd"`],
  },
  {
    situation: 'a line of master.cf that lacks fields is said without more',
    masterCf: 'x unix - -\n',
    argv: ['-M'],
    err: ['fatal: file master.cf: line 1: bad field count'],
    status: 1,
  },
  {
    situation: 'a setting without value is shown as it is; what is said of it is for braces alone',
    masterCf: `${service}smtpd -o mine -o { yours } -o {hers\n`,
    argv: ['-Mf'],
    err: [
      `warning: master.cf: missing '=' after attribute name: "yours"`,
      `warning: master.cf: missing '}' in "{hers"`,
      `warning: master.cf: missing '=' after attribute name: "hers"`,
    ],
    out: [shownService.concat('smtpd'), '    -o mine', '    -o yours', '    -o hers'],
  },
  {
    situation: 'arguments have braces where they have blanks',
    masterCf: `${service}pipe -v a={b c} { d } { e f } g={h i}\n`,
    argv: ['-M'],
    out: [`${shownService}pipe -v a={b c} d {e f} {g={h i}}`],
  },
  {
    situation: 'an entry is shown for each request that it matches',
    masterCf: `${service}smtp\n`,
    argv: ['-F', '*/*/command', 'x/unix/command'],
    out: ['x/unix/command = smtp', 'x/unix/command = smtp'],
  },
  {
    situation: 'a delivery agent on the network has the parameters of a transport',
    mainCf: 'x_destination_rate_delay = 1s\n',
    masterCf: 'x inet n - - - - smtp\n',
    argv: ['-nC', 'service'],
    out: ['x_destination_rate_delay = 1s'],
  },
  {
    situation: 'an unknown word after -T is a warning and an error',
    argv: ['-T', 'nosuch'],
    err: [`warning: unknown 'postconf -T' mode: nosuch`],
    status: 1,
  },
];

for (const { situation, mainCf = '', masterCf: master = '', argv, err = [], out = [], status = 0 } of shown) {
  test(situation, async (context) => {
    const path = directory(context, mainCf, master);
    const outcome = await postconf(['-c', path, ...argv]);
    assert.deepEqual(
      { ...outcome, err: outcome.err.replaceAll(`${path}/`, '') },
      {
        status,
        out: out.map((line) => `${line}\n`).join(''),
        err: err.map((line) => `postconf: ${line}\n`).join(''),
      },
    );
  });
}

test('names that nobody knows are said in their place among the others', async (context) => {
  const path = directory(context, '');
  const said: string[] = [];
  const write = (text: string): void => void said.push(text);
  await main(['-c', path, 'nosuch', 'max_use'], {
    stdin: process.stdin,
    stdout: { write },
    stderr: { write },
    environment: {},
  });
  assert.deepEqual(said, ['postconf: warning: nosuch: unknown parameter\n', 'max_use = 100\n']);
});

test('an option that does not exist is named before the usage', async () => {
  for (const [argv, problem] of [
    [['-Z'], "invalid option -- 'Z'"],
    [['-C'], "option requires an argument -- 'C'"],
  ] as const) {
    const { status, err } = await postconf([...argv]);
    assert.equal(status, 1);
    assert.deepEqual(err.split('\n').slice(0, 1), [`postconf: ${problem}`]);
    assert.match(err, /\npostconf: fatal: usage: postconf \[-a/);
  }
});

const refusals: [argv: string[], message: string][] = [
  [['-d', '-n'], 'specify one of -d -n'],
  [['-M', '-p'], 'specify one of -M -p'],
  [['-X', '-#', 'x'], 'specify one of -X -#'],
  [['-e', '-n', '-x'], 'specify one of -e -n'],
  [['-X', '-h', 'x'], 'specify one of -h -X'],
  [['-e', '-f', 'x=y'], 'specify one of -e -f'],
  [['-l', '-M'], 'specify one of -l -M'],
  [['-t', '-b'], 'specify one of -b and -t'],
  [['-l', '-n'], 'with option -l, do not specify -n'],
  [['-e'], '-e requires name=value argument'],
  [['-X'], 'missing service argument'],
  [['-X', ' '], '-X or -# requires non-blank parameter names'],
  [['-X', '#a'], '-e, -X, or -# accepts no comment input'],
  [['-e', 'a=b', '-n'], `missing '=' after attribute name: "-n"`],
  [['-M', '/'], '-M option requires service_name[/type]'],
  [['-M', '=x'], 'missing attribute name: "=x"'],
  [['-F', 'x/inet=y'], '-Fe or -FX requires service_name/type/field_name'],
  [['-F', 'x/inet/private=y n'], '-Fe does not accept whitespace in non-command field'],
  [['-PX', 'x/inet/*'], '-Pe does not accept wild-card parameter name'],
  [['-PX', 'x'], '-Pe or -PX requires service_name/type/parameter'],
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
