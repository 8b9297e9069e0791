/** midna_domain: domain names between UTF-8 and ASCII form. */
import { DomainConverter } from '../../../lib/util/idna.ts';
import { inputLines, logLine } from '../support/tables.ts';

const log = (text: string): void => logLine('midna_domain', text);
const domains = new DomainConverter({ warn: (text) => log(`warning: ${text}`) });
const FORMS = {
  utf8: (name: string) => domains.toUtf8(name),
  ascii: (name: string) => domains.toAscii(name),
};

function show(name: string, form: keyof typeof FORMS): void {
  log(`"${name}" ->${form} "${FORMS[form](name) ?? '(error)'}"`);
}

function showRoundTrip(name: string, form: keyof typeof FORMS, back: keyof typeof FORMS): void {
  const converted = FORMS[form](name);
  if (converted === undefined) return;
  const returned = FORMS[back](converted);
  log(`"${name}" ->${form} "${converted}" ->${back} "${returned ?? '(error)'}"`);
  if (returned !== undefined && returned !== name) log(`warning: "${name}" != "${returned}"`);
}

for (const line of inputLines()) {
  log(`> ${line}`);
  log('unconditional conversions:');
  show(line, 'utf8');
  show(line, 'ascii');
  log('conditional conversions:');
  if (/^[\x00-\x7f]*$/.test(line)) showRoundTrip(line, 'utf8', 'ascii');
  else showRoundTrip(line, 'ascii', 'utf8');
}
