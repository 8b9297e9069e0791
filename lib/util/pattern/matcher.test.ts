import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backtrackingCost } from './cost.ts';
import { compileMatcher } from './matcher.ts';
import { type PerlOptions, parsePerl } from './parse-perl.ts';
import { parsePosix } from './parse-posix.ts';
import { PatternSyntaxError } from './syntax.ts';

const PERL: PerlOptions = {
  ignoreCase: true,
  multiLine: false,
  dotAll: true,
  extended: false,
  anchored: false,
  dollarEndOnly: false,
  ungreedy: false,
};
const POSIX = { ignoreCase: true, multiLine: false, extended: true };

const perl = (source: string, options: Partial<PerlOptions> = {}) => parsePerl(source, { ...PERL, ...options });
const posix = (source: string, options: Partial<typeof POSIX> = {}) => parsePosix(source, { ...POSIX, ...options });

test('Perl patterns give the groups that PCRE gives', async () => {
  const cases: [string, string, (string | undefined)[] | undefined, Partial<PerlOptions>?][] = [
    ['abc', 'xABCx', ['ABC']],
    ['abc', 'xABCx', undefined, { ignoreCase: false }],
    ['(?-i)abc', 'ABC', undefined],
    ['a(?i:b)c', 'aBc', ['aBc'], { ignoreCase: false }],
    ['a(?i)b|c', 'C', ['C'], { ignoreCase: false }],
    ['^a.c$', 'a\nc', ['a\nc']],
    ['^a.c$', 'a\nc', undefined, { dotAll: false }],
    ['a$', 'a\n', ['a']],
    ['a$', 'a\n', undefined, { dollarEndOnly: true }],
    ['^b$', 'a\nb\nc', ['b'], { multiLine: true }],
    ['b', 'ab', undefined, { anchored: true }],
    ['a.*c', 'abcbc', ['abc'], { ungreedy: true }],
    ['a.*?c', 'abcbc', ['abcbc'], { ungreedy: true }],
    ['a b # text', 'ab', ['ab'], { extended: true }],
    ['(a+)(b)?', 'aac', ['aa', 'aa', undefined]],
    ['(?>a+)ab', 'aaab', undefined],
    ['a++b', 'aab', ['aab']],
    ['(?<x>a)\\k<x>', 'aa', ['aa', 'a']],
    ['(?P<x>a)(?P=x)', 'aA', ['aA', 'a']],
    ['(a)(?>(b))\\2', 'abb', ['abb', 'a', 'b']],
    ['(?<!x)foo', 'xfoo foo', ['foo']],
    ['\\Qa.b\\E+', 'a.bbb', ['a.bbb']],
    ['[[:alpha:]]+\\d{2,3}', 'abc1234', ['abc123']],
    ['[^]a]', ']ab', ['b']],
    ['[\\w.-]+@', 'a.b-c@x', ['a.b-c@']],
    ['\\x41\\x{20ac}', 'A€', ['A€']],
    ['é', 'É', ['É']],
    ['^.$', '😀', ['😀']],
    ['\\p{Lu}+', 'ABc', ['AB'], { ignoreCase: false }],
    ['a{,2}', 'a{,2}', ['a{,2}']],
    ['x(?#comment)y', 'xy', ['xy']],
    ['\\bfoo\\b', 'a foo b', ['foo']],
    ['(a|ab)(c|bcd)', 'abcd', ['abcd', 'a', 'bcd']],
  ];
  for (const [source, text, expected, options] of cases) {
    const found = await compileMatcher(perl(source, options), true).match(text);
    assert.deepEqual(found === undefined ? undefined : [...found], expected, `/${source}/ on ${JSON.stringify(text)}`);
  }
});

test('POSIX patterns match as the GNU C library does', async () => {
  const cases: [string, string, (string | undefined)[] | undefined, Partial<typeof POSIX>?][] = [
    ['a|ab', 'abc', ['ab']],
    ['(a|ab)(c|bcd)', 'abcd', ['abcd', 'a', 'bcd']],
    ['[]a]+', ']a]', [']a]']],
    ['[a\\]+', '\\a', ['\\a']],
    ['a{2}', 'aaa', ['aa']],
    ['a{,2}b', 'aab', ['aab']],
    ['^b', 'a\nb', undefined],
    ['^b', 'a\nb', ['b'], { multiLine: true }],
    ['a.b', 'a\nb', ['a\nb']],
    ['a.b', 'a\nb', undefined, { multiLine: true }],
    ['a\\(b\\)\\1', 'abb', ['abb', 'b'], { extended: false }],
    ['a+', 'aa+', ['a+'], { extended: false }],
    ['\\<foo\\>', 'a foo', ['foo']],
    ['()', 'x', ['', '']],
    ['a)', 'a)', ['a)']],
  ];
  for (const [source, text, expected, options] of cases) {
    const found = await compileMatcher(posix(source, options), true).match(text);
    assert.deepEqual(found === undefined ? undefined : [...found], expected, `/${source}/ on ${JSON.stringify(text)}`);
  }
});

test('a wrong Perl pattern is reported with the words and the place of PCRE2', () => {
  const cases: [string, string, number][] = [
    ['(', 'missing closing parenthesis', 1],
    ['[a', 'missing terminating ] for character class', 2],
    ['a{2,1}', 'numbers out of order in {} quantifier', 5],
    ['*a', 'quantifier does not follow a repeatable item', 0],
    ['a**', 'quantifier does not follow a repeatable item', 2],
    ['a)', 'unmatched closing parenthesis', 1],
    ['\\2(a)', 'reference to non-existent subpattern', 1],
    ['[z-a]', 'range out of order in character class', 3],
    ['[[:foo:]]', 'unknown POSIX class name', 3],
    ['(?<!a*)b', 'lookbehind assertion is not fixed length', 0],
    ['(?z)', 'unrecognized character after (? or (?-', 2],
    ['\\p{Foo}', 'unknown property after \\P or \\p', 7],
    ['a{99999}', 'number too big in {} quantifier', 7],
  ];
  for (const [source, message, offset] of cases) {
    assert.throws(
      () => perl(source),
      (error) => error instanceof PatternSyntaxError && error.message === message && error.offset === offset,
      source,
    );
  }
});

test('the shape of a pattern tells how long a backtracking engine can take', () => {
  const cases: [string, number][] = [
    ['^abc$', 0],
    ['abc', 1],
    ['^[^@]+@example\\.com$', 1],
    ['^([a-z]+\\.)+com$', 1],
    ['^([a-z]+\\.)+[0-9]$', 1],
    ['[%!@].*[%!@]', 2],
    ['^(a+)+$', Number.POSITIVE_INFINITY],
    ['^(a|a)*$', Number.POSITIVE_INFINITY],
    ['^(a|b)*$', 1],
    ['^(a*)*$', Number.POSITIVE_INFINITY],
    ['^(.*a){12}$', Number.POSITIVE_INFINITY],
    ['^(a)\\1$', 1],
  ];
  for (const [source, degree] of cases) {
    const cost = backtrackingCost(perl(source));
    if (degree === Number.POSITIVE_INFINITY) assert.ok(cost.degree > 5, `${source}: ${cost.degree}`);
    else assert.equal(cost.degree, degree, source);
  }
});

test('patterns that explode over a megabyte leave the event loop to others', async () => {
  const text = `${'a'.repeat(1_000_000)}!`;
  const exploding = ['^(a+)+$', '^(a|aa)+$', '(a*)*b', '^(a|a)*$', '(.*)(.*)(.*)(.*)[^a!]x', '(x+x+)+y|a+[^a!]$'];
  const quick = compileMatcher(perl('^user@example\\.com$'), false);
  let longestPause = 0;
  let last = performance.now();
  let lookups = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longestPause = Math.max(longestPause, now - last);
    last = now;
    assert.ok(quick.match('USER@example.com'));
    lookups += 1;
  }, 5);
  try {
    for (const source of exploding)
      assert.equal(await compileMatcher(perl(source), false).match(text), undefined, source);
  } finally {
    clearInterval(timer);
  }
  assert.ok(lookups > 0);
  assert.ok(longestPause < 1000, `the event loop stood still for ${longestPause} ms`);
});

test('a pattern that only backtracking can match ends at its time limit', async () => {
  const matcher = compileMatcher(perl('^(a|aa)+\\1{2}$(?=x)'), false);
  await assert.rejects(async () => await matcher.match(`${'a'.repeat(100)}!`), { name: 'MatchTimeoutError' });
  // The next request gets a thread of its own.
  assert.ok(await compileMatcher(perl('^(a|aa)+\\1b'), false).match('aaaab'));
});
