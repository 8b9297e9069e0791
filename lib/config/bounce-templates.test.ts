import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInTemplates } from '../mail/bounce-template.ts';
import { FatalError } from '../util/errors.ts';
import { expandTemplate, loadBounceTemplates } from './bounce-templates.ts';
import { Configuration } from './settings.ts';

const builtIn = builtInTemplates('standard');

function expanded(text: string, mainCf = ''): { lines: string[]; warnings: string[] } {
  const warnings: string[] = [];
  const configuration = Configuration.fromText(
    `myhostname = mail.xn--exmple-cua.org\ncompatibility_level = 3.12\n${mainCf}`,
  );
  const template = { ...builtIn.delay, text: text.split('\n') };
  return { lines: expandTemplate(template, configuration, (warning) => warnings.push(warning)), warnings };
}

const EXPANSIONS: readonly [text: string, mainCf: string, lines: string[], warnings: number][] = [
  ['at $myhostname', 'smtputf8_enable = no', ['at mail.xn--exmple-cua.org'], 0],
  ['at $myhostname', 'smtputf8_enable = yes', ['at mail.exämple.org'], 0],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: main.cf has names in braces
  ['${delay_warning_time_hours}h $$5', 'delay_warning_time = 90m', ['1h $5'], 0],
  ['$delay_warning_time_minutes', 'delay_warning_time = 90m', ['90'], 0],
  ['$delay_warning_time_days', 'delay_warning_time = 90m', ['0'], 1],
  ['$delay_warning_time_hours', 'delay_warning_time = 0', ['0'], 0],
  ['$maximal_queue_lifetime_weeks', 'maximal_queue_lifetime = 2w', ['2'], 0],
  ['a\n$nosuch\n$own', 'own = $mail_name', ['a', '', 'Postfix'], 1],
];
for (const [text, mainCf, lines, warnings] of EXPANSIONS) {
  test(`"${text.replaceAll('\n', ' ')}" with ${mainCf}`, () => {
    const result = expanded(text, mainCf);
    assert.deepEqual(result.lines, lines);
    assert.equal(result.warnings.length, warnings);
  });
}

test('wrong $name syntax is fatal', () => {
  assert.throws(() => expanded('foo ${x'), FatalError);
});

test('a template file that cannot be read is fatal, and named', () => {
  const configuration = Configuration.fromText('bounce_template_file = /no/such/file');
  assert.throws(
    () => loadBounceTemplates(configuration, () => {}),
    (error) => error instanceof FatalError && error.message.includes('bounce_template_file = /no/such/file'),
  );
});
