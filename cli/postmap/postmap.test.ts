import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { CommandStreams } from '../../lib/tables/command.ts';
import { main as newaliases } from '../newaliases/main.ts';
import { main as postalias } from '../postalias/main.ts';
import { main as postmap } from './main.ts';

interface Site extends AsyncDisposable {
  readonly folder: string;
  file(name: string, text: string | Buffer): Promise<string>;
  /** Exit status, standard output and standard error, in one text. */
  run(main: typeof postmap, args: string[], input?: string): Promise<string>;
}

async function site(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'postfleet-test-postmap-'));
  await writeFile(join(folder, 'main.cf'), `compatibility_level = 3.12\nalias_database = hash:${folder}/aliases\n`);
  return {
    folder,
    async file(name, text) {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    },
    async run(main, args, input = '') {
      let output = '';
      const sink = {
        write(text: Buffer) {
          output += text.toString('utf8');
        },
      };
      const io: CommandStreams = {
        stdin: Readable.from([Buffer.from(input)]),
        stdout: sink,
        stderr: sink,
        environment: { MAIL_CONFIG: folder },
      };
      const status = await main(args, io);
      return `${status}: ${output.replaceAll(`${folder}/`, '')}`;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

test('a table is made, queried, changed and listed', async () => {
  await using place = await site();
  const map = `hash:${await place.file('virtual', 'Ann@Example.com\tann\nbob bob1\n bob2\nbob twice\n')}`;
  assert.equal(await place.run(postmap, [map]), '0: postmap: warning: virtual.index: duplicate entry: "bob"\n');
  assert.equal(await place.run(postmap, ['-q', 'ANN@example.com', map]), '0: ann\n');
  assert.equal(await place.run(postmap, ['-q', 'nobody', map]), '1: ');
  assert.equal(await place.run(postmap, ['-q', '-', map], 'bob\nnobody\nBOB\n'), '0: bob\tbob1 bob2\nBOB\tbob1 bob2\n');
  assert.equal(
    await place.run(postmap, ['-i', map], 'carl c\nbob other\n'),
    '0: postmap: warning: virtual.index: duplicate entry: "bob"\n',
  );
  assert.equal(await place.run(postmap, ['-wi', map], 'bob other\n'), '0: ');
  assert.equal(await place.run(postmap, ['-q', 'bob', map]), '0: bob1 bob2\n');
  assert.equal(await place.run(postmap, ['-ri', map], 'bob other\n'), '0: ');
  assert.equal(await place.run(postmap, ['-s', map]), '0: ann@example.com\tann\ncarl\tc\nbob\tother\n');
  assert.equal(await place.run(postmap, ['-d', 'carl', map]), '0: ');
  assert.equal(await place.run(postmap, ['-d', 'carl', map]), '1: ');
  assert.equal(await place.run(postmap, ['-d', '-', map], 'nobody\nbob\n'), '0: ');
  assert.equal(await place.run(postmap, ['-js', map]), '0: {"ann@example.com": "ann"}\n');
});

test('lines that are no entries are reported with file and line, and the others count', async () => {
  await using place = await site();
  const source = Buffer.from(' first\na 1\nb\n"c d\ne: 2\n\xff 3\nf 4\n', 'latin1');
  const map = `hash:${await place.file('t', source)}`;
  const expected = [
    'postmap: warning: t: logical line must not start with whitespace: " first"',
    'postmap: warning: t, line 3: expected format: key whitespace value',
    `postmap: warning: t, line 4: unbalanced '"' in '"c d' -- ignoring this line`,
    'postmap: warning: t, line 5: record is in "key: value" format; is this an alias file?',
    'postmap: warning: t, line 6: non-UTF-8 input "? 3" -- ignoring this line',
  ];
  assert.equal(await place.run(postmap, [map]), `0: ${expected.join('\n')}\n`);
  assert.equal(await place.run(postmap, ['-s', map]), '0: a\t1\ne:\t2\nf\t4\n');
  // With -u bytes of any kind are keys.
  assert.equal(await place.run(postmap, ['-uw', map]), `0: ${expected.slice(0, 4).join('\n')}\n`);
});

test('a build that fails leaves the old index and nothing else', async () => {
  await using place = await site();
  const map = `hash:${await place.file('t', 'a 1\n')}`;
  await place.run(postmap, [map]);
  await rm(join(place.folder, 't'));
  assert.equal(await place.run(postmap, [map]), '1: postmap: fatal: open t: No such file or directory\n');
  assert.equal(await place.run(postmap, ['-q', 'a', map]), '0: 1\n');
  assert.deepEqual((await readdir(place.folder)).sort(), ['main.cf', 't.index']);
});

test('an index has the mode of its source, or 0644 with -p', async () => {
  await using place = await site();
  const path = await place.file('secret', 'a 1\n');
  const { chmod } = await import('node:fs/promises');
  await chmod(path, 0o600);
  await place.run(postmap, [`hash:${path}`]);
  assert.equal(statSync(`${path}.index`).mode & 0o777, 0o600);
  await place.run(postmap, ['-p', `hash:${path}`]);
  assert.equal(statSync(`${path}.index`).mode & 0o777, 0o644);
});

test('with -F values are files', async () => {
  await using place = await site();
  const one = await place.file('one', 'ONE\n');
  const two = await place.file('two', 'TWO\n');
  const map = `hash:${await place.file('t', `a ${one}, ${two}\nb /nowhere\n`)}`;
  assert.equal(
    await place.run(postmap, ['-F', map]),
    '0: postmap: warning: t, line 2: open /nowhere: No such file or directory: skipping this entry\n',
  );
  assert.equal(await place.run(postmap, ['-Fq', 'a', map]), '0: ONE\n\nTWO\n\n');
  assert.equal(await place.run(postmap, ['-q', 'a', map]), `0: ${Buffer.from('ONE\n\nTWO\n').toString('base64')}\n`);
});

test('messages as queries: headers, body, and the parts of MIME', async () => {
  await using place = await site();
  const message =
    'Subject: a\n b\nContent-Type: multipart/mixed; boundary="x"\n\npreamble\n--x\nContent-Type: text/plain\n\ntext\n--x--\nend\n';
  const all = 'static:y';
  const keys = async (options: string): Promise<string[]> =>
    (await place.run(postmap, [options, '-', all], message))
      .slice(3)
      .trimEnd()
      .split('\ty\n')
      .map((key) => key.replace(/\ty$/, ''));
  assert.deepEqual(await keys('-hq'), ['Subject: a\n b', 'Content-Type: multipart/mixed; boundary="x"']);
  assert.deepEqual(await keys('-hmq'), [
    'Subject: a\n b',
    'Content-Type: multipart/mixed; boundary="x"',
    'Content-Type: text/plain',
  ]);
  assert.deepEqual(await keys('-bmq'), ['', 'preamble', '--x', '', 'text', '--x--', 'end']);
});

const messages: [situation: string, message: string, keys: string[]][] = [
  ['nothing', '', []],
  ['headers alone', 'A: b', ['A: b']],
  ['an empty line alone', '\n', ['']],
  ['a first line that is no header has an empty line put before it', 'no header\n\nx\n', ['', 'no header', '', 'x']],
  ['so has a line after headers', 'A: b\nx\n', ['A: b', '', 'x']],
  ['blanks before the colon go', 'A : b\n c\n', ['A: b\n c']],
  ['a carriage return belongs to its line', 'A: b\r\n\nx\r\n', ['A: b\r', '', 'x\r']],
  ['other bytes pass', 'A: \u00e4\n\n\u00e4\n', ['A: \u00e4', '', '\u00e4']],
];

for (const [situation, message, keys] of messages) {
  test(`keys of a message: ${situation}`, async () => {
    await using place = await site();
    const found = keys.map((key) => `${key}\ty\n`).join('');
    const status = keys.length === 0 ? 1 : 0;
    assert.equal(await place.run(postmap, ['-bhq', '-', 'static:y'], message), `${status}: ${found}`);
  });
}

test('-m without -b or -h is ignored with a warning', async () => {
  await using place = await site();
  assert.equal(
    await place.run(postmap, ['-mq', '-', 'static:y'], 'a\n'),
    '0: postmap: warning: ignoring -m option without -b or -h\na\ty\n',
  );
});

test('a backslash keeps the next character in a key', async () => {
  await using place = await site();
  const map = `hash:${await place.file('t', '\\"a b\nc\\ d e\n')}`;
  assert.equal(await place.run(postmap, [map]), '0: ');
  assert.equal(await place.run(postmap, ['-s', map]), '0: \\"a\tb\nc\\ d\te\n');
});

test('texthash names a key that it has twice as it was written', async () => {
  await using place = await site();
  const map = `texthash:${await place.file('t', 'a 1\nA 2\n')}`;
  assert.match(await place.run(postmap, ['-q', 'A', map]), /warning: .*t, line 2: duplicate entry: "A"\n1\n$/);
});

test('names of aliases are local, one to a line, and not empty', async () => {
  await using place = await site();
  const map = `hash:${await place.file('t', 'a,b: x\na%b: x\na@b: x\n"a,b": x\n"": y\n')}`;
  assert.equal(
    await place.run(postalias, [map]),
    `0: ${[
      't, line 1: need name:value pair',
      't, line 2: name must be local',
      't, line 3: name must be local',
      `table hash:t: empty lookup key value is not allowed`,
    ]
      .map((text) => `postalias: warning: ${text}\n`)
      .join('')}`,
  );
});

test('an in-line table takes an empty key, and the last of two values', async () => {
  await using place = await site();
  assert.equal(await place.run(postmap, ['-s', 'inline:{=b, c=d, c=e, \\"f=g}']), '0: \tb\nc\te\n\\"f\tg\n');
});

const secondPatterns: [rule: string, found: string[]][] = [
  ['/a/!/b/ x', ['a']],
  ['/a/! /b/ x', ['a']],
  ['/a/!!/b/ x', ['ab']],
  ['!/a/!/b/ x', ['c']],
  ['/a/i!/B/ x', ['a']],
];

for (const [rule, found] of secondPatterns) {
  test(`the second pattern of ${rule}`, async () => {
    await using place = await site();
    const map = `regexp:${await place.file('t', `${rule}\n`)}`;
    const lines = found.map((key) => `${key}\tx\n`).join('');
    assert.equal(await place.run(postmap, ['-q', '-', map], 'a\nb\nab\nc\n'), `0: ${lines}`);
  });
}

const wrongRules: [type: string, rule: string, warnings: string[]][] = [
  ['regexp', '/(a)/ $0', ['T map N, line 1: out-of-range replacement index "0"']],
  ['pcre', '/(a)/ $0', ['T map N, line 1: out of range replacement index "0"']],
  ['regexp', '/a/ b$ c', ['empty macro name: "b$ c"']],
  ['pcre', '/a/ b${1', ['truncated macro reference: "b${1"']],
];

for (const [type, rule, warnings] of wrongRules) {
  test(`${type}: what is wrong with ${rule}`, async () => {
    await using place = await site();
    const path = await place.file('t', `${rule}\n`);
    const lines = [...warnings, 'T map N, line 1: bad replacement syntax: skipping this rule'].map(
      (text) => `postmap: warning: ${text.replace('T map N', `${type} map t`)}\n`,
    );
    assert.equal(await place.run(postmap, ['-q', 'a', `${type}:${path}`]), `1: ${lines.join('')}`);
  });
}

test('an if has one pattern; what follows at once is extra text', async () => {
  await using place = await site();
  const path = await place.file('t', 'if /a/!/b/\n/./ x\nendif\n');
  const where = 'postmap: warning: regexp map t, line 1';
  assert.equal(
    await place.run(postmap, ['-q', 'ab', `regexp:${path}`]),
    `0: ${where}: ignoring extra text after IF statement: "!/b/"\n${where}: do not prepend whitespace to statements between IF and ENDIF\nx\n`,
  );
});

test('PCRE2 has no option X', async () => {
  await using place = await site();
  assert.match(await place.run(postmap, ['-q', 'a', 'pcre:{{/a/X x}}']), /ignoring obsolete regexp option "X"\nx\n$/);
});

test('in-line rules may be none at all', async () => {
  await using place = await site();
  for (const type of ['regexp', 'pcre', 'cidr'])
    assert.equal(await place.run(postmap, ['-q', 'a', `${type}:{ }`]), '1: ');
});

test('two processes that change the same table do not lose each other’s rows', async () => {
  await using place = await site();
  const map = `hash:${join(place.folder, 't')}`;
  await Promise.all(
    Array.from({ length: 8 }, (_, number) => place.run(postmap, ['-i', map], `key${number} ${number}\n`)),
  );
  const listed = (await place.run(postmap, ['-s', map])).slice(3).trim().split('\n').sort();
  assert.deepEqual(
    listed,
    Array.from({ length: 8 }, (_, number) => `key${number}\t${number}`),
  );
});

test('newaliases builds what alias_database lists', async () => {
  await using place = await site();
  await place.file('aliases', 'Postmaster: root\nroot: "|/bin/cmd a", ann\nbad\n');
  assert.equal(
    await place.run(newaliases, []),
    '0: newaliases: warning: '.concat(`aliases, line 3: need name:value pair\n`),
  );
  assert.equal(await place.run(postalias, ['-q', 'postmaster', `hash:${place.folder}/aliases`]), '0: root\n');
  assert.equal(
    await place.run(postalias, ['-s', `hash:${place.folder}/aliases`]),
    '0: postmaster:\troot\nroot:\t"|/bin/cmd a", ann\n',
  );
  assert.ok((await readFile(join(place.folder, 'aliases.index'))).length > 0);
});

test('what cannot be is said in one line', async () => {
  await using place = await site();
  const cases: [string[], string][] = [
    [['-q', 'x', 'nosuch:t'], 'unsupported dictionary type: nosuch'],
    [['-q', 'x', 'texthash:/nowhere'], 'open database /nowhere: No such file or directory'],
    [['-q', 'x', 'hash:/nowhere'], 'open database /nowhere.index: No such file or directory'],
    [['static:t'], 'open t: No such file or directory'],
    [['-i', 'regexp:t'], 'unsupported dictionary type: regexp does not support bulk-mode creation.'],
    [['-d', 'x', 'inline:{a=b}'], 'inline:{a=b} map requires O_RDONLY access mode'],
    [['-s', 'static:y'], 'table static:y: sequence operation is not supported'],
    [['-s', 'fail:y'], 'table fail:y: sequence error: Application error'],
    [['-q', 'x', 'pipemap:{nosuch:t}'], 'unsupported dictionary type: nosuch'],
    [['-q', 'x', 'regexp:{/a/ b}'], `regexp map: no '{' at start of text in "/a/"`],
    [['-q', 'x', 'cidr:{{::/0 b}x}'], `cidr map: syntax error after '}' in "{::/0 b}x"`],
    [['-q', 'x', 'socketmap:x'], 'socketmap requires server:socketmap argument'],
    [['-q', 'x', 'socketmap:inet:x'], 'need service transport:endpoint instead of "inet"'],
    [['-q', 'x', 'socketmap:tcp:x:y'], 'invalid transport name: tcp in service: tcp:x'],
    [['-d', 'x', 'static:y'], 'table static:y: delete operation is not supported'],
    [['-b', '-q', 'x', 'static:y'], 'specify -b -h or -m only with "-q -"'],
    [['-c', '/nowhere', 'hash:t'], 'open /nowhere/main.cf: No such file or directory'],
  ];
  for (const [args, message] of cases) {
    assert.equal(await place.run(postmap, args), `1: postmap: fatal: ${message}\n`);
  }
});
