import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkConfiguration } from './check.ts';

function check(context: TestContext, mainCf: string, masterCf: string) {
  const directory = mkdtempSync(join(tmpdir(), 'check-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'main.cf'), mainCf);
  writeFileSync(join(directory, 'master.cf'), masterCf);
  const report = checkConfiguration(directory, { environment: new Map() });
  const relative = (lines: readonly string[]): string[] => lines.map((line) => line.replaceAll(`${directory}/`, ''));
  return { errors: relative(report.errors), warnings: relative(report.warnings), notices: relative(report.notices) };
}

test('the sample configuration has nothing wrong', () => {
  const sample = new URL('../../etc/postfleet', import.meta.url).pathname;
  assert.deepEqual(checkConfiguration(sample, { environment: new Map() }), {
    errors: [],
    warnings: [],
    refusals: [],
    notices: [],
  });
});

test('all wrong values of both files are found at once', (context) => {
  const master = 'smtp inet n - n - - smtpd\n  -o smtpd_helo_required=true\n';
  assert.deepEqual(check(context, 'soft_bounce = 1\nbounce_size_limit = -1\n', master).errors, [
    'main.cf, line 1: soft_bounce = 1: bad value, expected yes or no',
    'main.cf, line 2: bounce_size_limit = -1: bad value, expected a whole number from 0',
    'master.cf, line 1: -o smtpd_helo_required=true: bad value, expected yes or no',
  ]);
});

test('a file that cannot be read as a whole is one error', (context) => {
  assert.deepEqual(check(context, '', 'smtp tcp n - n - - smtpd\n').errors, [
    'master.cf, line 1: invalid type field "tcp" in "smtp tcp n - n - - smtpd", expected one of inet, unix, fifo, pass, unix-dgram',
  ]);
});

test('misspelt names are warnings, settings without effect are notices', (context) => {
  assert.deepEqual(check(context, 'myorgin = x\nmax_use = 3\n', ''), {
    errors: [],
    warnings: ['main.cf, line 1: unused parameter: myorgin=x'],
    notices: [
      'main.cf, line 2: max_use has no effect here: Services run until they are stopped; they are not forked per request, nor do they end after a number of requests or an idle time.',
    ],
  });
});

test('a wrong value that nobody reads is a warning', (context) => {
  const report = check(context, 'biff = 1\n', '');
  assert.deepEqual(report.errors, []);
  assert.deepEqual(report.warnings, ['main.cf, line 1: biff = 1: bad value, expected yes or no']);
});

test('a mailbox that is smaller than a message is an error of the line that makes it so', (context) => {
  const local = 'local unix - n n - - local\n';
  const virtual = 'virtual unix - n n - - virtual -o message_size_limit=60000000\n';
  assert.deepEqual(check(context, 'mailbox_size_limit = 1000\n', local).errors, [
    'main.cf, line 1: mailbox_size_limit = 1000 is smaller than message_size_limit = 10240000',
  ]);
  assert.deepEqual(check(context, 'message_size_limit = 0\n', local).errors, [
    'main.cf, line 1: message_size_limit: mailbox_size_limit = 51200000 is smaller than message_size_limit = unlimited',
  ]);
  assert.deepEqual(check(context, '', `${local}${virtual}`).errors, [
    'master.cf, line 2: -o message_size_limit: virtual_mailbox_limit = 51200000 is smaller than message_size_limit = 60000000',
  ]);
  assert.deepEqual(check(context, 'message_size_limit = 0\nmailbox_size_limit = 0\n', local).errors, []);
});

test('restriction lists that would refuse every client are warnings', (context) => {
  const mainCf = `smtpd_restriction_classes = strict
strict = reject_unknown_sender_domain, reject_unknwon_client
smtpd_client_restrictions = permit_mynetworks, warn_if_reject reject_rbl_client list.example.org, hash:/etc/x, strict
smtpd_helo_restrictions = check_helo_access
smtpd_sender_restrictions = reject_non_fqnd_sender, reject_rhsbl_sender list.example.org
`;
  const master = 'smtp inet n - n - - smtpd\n  -o smtpd_data_restrictions=reject_unauth_pipelinig\n';
  const unknown = (word: string): string =>
    `unknown restriction "${word}": clients would get 451 4.3.5; expected a name of postconf(5)`;
  assert.deepEqual(check(context, mainCf, master).warnings, [
    'main.cf, line 4: smtpd_helo_restrictions: check_helo_access requires an argument',
    `main.cf, line 2: strict: ${unknown('reject_unknwon_client')}`,
    `master.cf, line 1: -o smtpd_data_restrictions: ${unknown('reject_unauth_pipelinig')}`,
  ]);
});
