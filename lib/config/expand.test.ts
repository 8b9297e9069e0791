// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ExpandOptions, expand, namesIn } from './expand.ts';
import { comparisons, functions } from './expressions.ts';

const values = new Map([
  ['host', 'mail.example'],
  ['empty', ''],
  ['again', '$host'],
  ['loop', '$loop'],
]);

function run(text: string, more: Partial<ExpandOptions> = {}) {
  const warnings: string[] = [];
  const lookup = (name: string): string | undefined => values.get(name);
  const result = expand(text, { lookup, comparisons, functions, warn: (warning) => warnings.push(warning), ...more });
  return { ...result, warnings };
}

const expansions: [situation: string, text: string, result: string][] = [
  ['a name without brackets ends at the first other character', '$host.net', 'mail.example.net'],
  ['braces and parentheses are the same', '${host} $(host)', 'mail.example mail.example'],
  ['blanks around a name in braces do not count', '${ host }', 'mail.example'],
  ['a doubled dollar is one', '$$host $$$host', '$host $mail.example'],
  ['a value is expanded in its turn', '$again', 'mail.example'],
  ['the old conditional takes everything up to the brace', '[${host? x }]', '[ x ]'],
  ['an empty value counts as none', '${empty?{a}:{b}} ${empty:c}', 'b c'],
  ['a name that is not set is empty', '[$nosuch]', '[]'],
  ['a comparison of digits is numerical', '${{010} == {10}?{y}:{n}} ${{9} < {10}?{y}:{n}}', 'y y'],
  ['a comparison of anything else goes by character', '${{a9} < {a10}?{y}:{n}}', 'n'],
  ['numbers beyond 64 bits compare', '${{100000000000000000000} > {99999999999999999999}?{y}:{n}}', 'y'],
  ['a comparison alone is true or nothing', '[${{1} == {1}}][${{1} == {2}}]', '[true][]'],
  ['levels compare number by number', '${{3.10} >level {3.9}?{y}:{n}}', 'y'],
  ['a function changes its argument', '${domain_to_ascii{$again}}', 'mail.example'],
  ['dollar signs in a value text are read once', '${host?$$x}', '$x'],
];

for (const [situation, text, expected] of expansions) {
  test(situation, () => {
    const { text: result, malformed, warnings } = run(text);
    assert.deepEqual({ result, malformed, warnings }, { result: expected, malformed: false, warnings: [] });
  });
}

const mistakes: [situation: string, text: string, warning: string][] = [
  ['a dollar before no name', 'a$ b', 'empty macro name: "a$ b"'],
  ['nothing in the braces', '${}', 'empty macro name: "${}"'],
  ['a brace that stays open', 'abc${host', 'truncated macro reference: "abc${host"'],
  ['text after both branches', '${host?{x}:{y} z}', 'unexpected input at: "...y}>>>z"'],
  ['a function that is not known', '${foo{x}}', 'attribute name syntax error at: "...foo>>>{x}"'],
  ['a comparison with half a right side', '${{a} == b}', '"{expression}" expected at: "...{a} ==>>> b"'],
  ['a level that is none', '${{x} <level {1}?y}', 'malformed compatibility level syntax: "x"'],
];

for (const [situation, text, warning] of mistakes) {
  test(`${situation} is reported`, () => {
    const { malformed, warnings } = run(text);
    assert.deepEqual({ malformed, warnings }, { malformed: true, warnings: [warning] });
  });
}

test('a value that refers to itself ends in a warning', () => {
  const { malformed, warnings } = run('$loop');
  assert.ok(malformed);
  assert.deepEqual(warnings, ['unreasonable macro call nesting: "loop"']);
});

test('values that double at each level do not eat all memory', () => {
  const doubling = new Map(Array.from({ length: 60 }, (_, level) => [`d${level}`, `$d${level + 1}$d${level + 1}`]));
  doubling.set('d60', 'x'.repeat(1000));
  const { malformed } = run('$d0', { lookup: (name) => doubling.get(name) });
  assert.ok(malformed);
});

test('a filter sees the value of each name and not the text around it', () => {
  assert.equal(run('<$host>', { filter: (value) => value.replaceAll('.', '_') }).text, '<mail_example>');
});

test('names in all branches are found', () => {
  assert.deepEqual(namesIn('$a ${b?{$c}:{${d}}} ${{$e} == {f}?$g} $$h'), ['a', 'b', 'c', 'd', 'e', 'g']);
});

test('no text makes the expander throw or hang', () => {
  const piece = fc.constantFrom(
    '$',
    '{',
    '}',
    '(',
    ')',
    '?',
    ':',
    '==',
    '<level',
    ' ',
    'host',
    'again',
    'loop',
    '$$',
    'x',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('');
      const { malformed, warnings } = run(text);
      assert.equal(malformed, warnings.length > 0);
      namesIn(text);
    }),
  );
});

test('text without a dollar is its own expansion, and a doubled dollar escapes any text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const escaped = text.replaceAll('$', '$$$$');
      assert.equal(run(escaped).text, text);
    }),
  );
});
