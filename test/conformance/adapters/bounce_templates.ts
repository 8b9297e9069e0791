/** Conformance adapter: the four templates of notices, as main.cf in the working directory and `-o` options have them. */
import { loadBounceTemplates } from '../../../lib/config/bounce-templates.ts';
import { Configuration } from '../../../lib/config/settings.ts';
import { BOUNCE_TEMPLATE_NAMES } from '../../../lib/mail/bounce-template.ts';

const overrides = new Map<string, string>();
const args = process.argv.slice(2);
for (let at = 0; at < args.length; at++) {
  if (args[at] !== '-o') continue;
  const [name = '', ...value] = (args[++at] ?? '').split('=');
  overrides.set(name.trim(), value.join('=').trim());
}

const configuration = Configuration.load('.', { overrides });
const templates = loadBounceTemplates(configuration, (text) => console.error(`bounce_templates: warning: ${text}`));
const shown = BOUNCE_TEMPLATE_NAMES.map((name) => {
  const { charset, from, subject, postmasterSubject, text } = templates[name];
  const headers = [`Charset: ${charset}`, `From: ${from}`, `Subject: ${subject}`];
  if (postmasterSubject !== undefined) headers.push(`Postmaster-Subject: ${postmasterSubject}`);
  return [`${name}_template = <<EOF`, ...headers, '', ...text, 'EOF', ''].join('\n');
});
process.stdout.write(shown.join('\n'));
