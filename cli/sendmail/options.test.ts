import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions, type SendmailOptions } from './options.ts';

const cases: [argv: string, expected: Partial<SendmailOptions>][] = [
  ['joe', { mode: 'submit', recipients: ['joe'], dotEnds: true, sender: undefined }],
  ['-t -i -f joe@example.org', { extractRecipients: true, dotEnds: false, sender: 'joe@example.org' }],
  ['-ti -r joe -oem -odb -om -- -x', { extractRecipients: true, dotEnds: false, sender: 'joe', recipients: ['-x'] }],
  ['-oi -Fme joe', { dotEnds: false, fullName: 'me', recipients: ['joe'] }],
  ['-o x value joe', { recipients: ['joe'] }],
  ['-oA hash:/etc/aliases -bi', { mode: 'newaliases', aliasDatabase: 'hash:/etc/aliases' }],
  [
    '-N success,failure -R full -V abc -B 8bitmime joe',
    { notify: 6, returned: 'FULL', envelopeId: 'abc', encoding: '8bit' },
  ],
  ['-N never joe', { notify: 1 }],
  ['-XV joe', { verp: '' }],
  ['-XV-= joe', { verp: '-=' }],
  ['-bp', { mode: 'mailq' }],
  ['-q', { mode: 'flush', flush: '' }],
  ['-qI4abc', { mode: 'flush', flush: 'I4abc' }],
  ['-q30m joe', { mode: 'submit', recipients: ['joe'] }],
  ['-bv -v joe', { mode: 'verify', verbose: true }],
  ['-C /etc/x/main.cf joe', { configDirectory: '/etc/x' }],
  ['-G -Am -h 5 -L label -O a=b -p smtp -n -m -U -x -X /tmp/log joe', { gateway: true, recipients: ['joe'] }],
];
for (const [argv, expected] of cases) {
  test(`sendmail ${argv}`, () => {
    const options: Record<string, unknown> = { ...parseOptions(argv.split(' '), 'sendmail') };
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(options[name], value, name);
  });
}

const mistakes: [argv: string, message: RegExp][] = [
  ['-Z', /invalid option -Z/],
  ['-f', /option requires an argument -- 'f'/],
  ['-bx', /unsupported: -bx/],
  ['-B 9BIT joe', /specify -B with 7BIT or 8BITMIME/],
  ['-N sometimes joe', /bad -N option value "sometimes"/],
  ['-N never,delay joe', /bad -N option value/],
  ['-R half joe', /specify -R with "full" or "hdrs"/],
  ['-XVabc joe', /expected -XV/],
  ['-qSsite', /expected -q, -qIqueueid or -qRsite/],
];
for (const [argv, message] of mistakes) {
  test(`sendmail ${argv} is refused`, () => {
    assert.throws(() => parseOptions(argv.split(' '), 'sendmail'), { name: 'FatalError', exitCode: 64, message });
  });
}
