import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../util/errors.ts';
import { builtInTemplates, parseBounceTemplates } from './bounce-template.ts';

const builtIn = builtInTemplates('standard');

function parse(file: string) {
  const warnings: string[] = [];
  const templates = parseBounceTemplates(file, 'bounce.cf', builtIn, (text) => warnings.push(text));
  return { templates, warnings };
}

test('a template takes the headers that it has, in any case of letters, and defaults for the others', () => {
  const { templates, warnings } = parse(`# A comment
failure_template = <<END
from: Me <me@example.org>
SUBJECT:   Sorry \t
Charset: utf-8

 Hällo $myhostname,
EOF
  END
END
`);
  assert.deepEqual(warnings, []);
  assert.deepEqual(templates.failure, {
    ...builtIn.failure,
    origin: 'bounce.cf',
    from: 'Me <me@example.org>',
    subject: 'Sorry',
    charset: 'utf-8',
    text: [' Hällo $myhostname,', 'EOF', '  END'],
  });
  assert.equal(templates.delay, builtIn.delay);
});

test('text without headers is all text', () => {
  const { templates } = parse('verify_template = <<EOF\nno header\nfoo\nEOF\nsuccess_template = <<EOF\n\nbody\nEOF');
  assert.deepEqual(templates.verify.text, ['no header', 'foo']);
  assert.deepEqual(templates.success.text, ['body']);
});

const FAULTS: readonly [what: string, file: string, warning: RegExp][] = [
  [
    'an unknown header',
    'failure_template = <<EOF\nFoo: bar\n\nx\nEOF',
    /unknown "Foo" header label in failure template/,
  ],
  ['an empty header', 'failure_template = <<EOF\nSubject:\n\nx\nEOF', /empty "Subject" header value/],
  ['a header beyond ASCII', 'failure_template = <<EOF\nFrom: Mä\n\nx\nEOF', /non-ASCII "From" header value/],
  ['a folded header', 'failure_template = <<EOF\nFrom: M\n <m>\n\nx\nEOF', /multi-line header in failure template/],
  ['no text', 'failure_template = <<EOF\nSubject: x\nEOF', /missing message text in failure template/],
  ['8-bit text in us-ascii', 'failure_template = <<EOF\n\nhä\nEOF', /8-bit message text in failure template/],
  [
    'a subject for nobody',
    'verify_template = <<EOF\nPostmaster-Subject: x\n\nx\nEOF',
    /no "Postmaster-Subject" header/,
  ],
  ['an unknown template', 'foo_template = <<EOF\nx\nEOF', /unknown template name: foo_template/],
];
for (const [what, file, warning] of FAULTS) {
  test(`${what} costs the template, not the notice`, () => {
    const { templates, warnings } = parse(file);
    assert.deepEqual(templates, builtIn);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, warning);
  });
}

test('a template without its end marker goes to the end of the file', () => {
  const { templates, warnings } = parse('failure_template = <<EOF\n\nx\ny\n');
  assert.deepEqual(templates.failure.text, ['x', 'y']);
  assert.deepEqual(warnings, ['bounce.cf, line 4: missing "EOF" end marker']);
});

test('text outside the templates is a mistake of structure', () => {
  assert.throws(
    () => parse('\n# x\njunk\n'),
    (error) => error instanceof FatalError && /bounce\.cf, line 3/.test(error.message),
  );
});
