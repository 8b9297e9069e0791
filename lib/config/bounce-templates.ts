/**
 * The templates of notices as an instance is configured: bounce_template_file over the built-in texts, and the expansion
 * of `$name` in them.
 *
 * Reads a file. Throws FatalError where it cannot be read, or where its structure or a `$name` in it is wrong; other
 * faults of a template are warned of.
 * @see bounce(5)
 */
import { readFileSync } from 'node:fs';
import { domainToUnicode } from 'node:url';
import {
  type BounceTemplate,
  type BounceTemplates,
  builtInTemplates,
  parseBounceTemplates,
  templateTime,
} from '../mail/bounce-template.ts';
import { FatalError } from '../util/errors.ts';
import { expand } from './expand.ts';
import { comparisons, functions } from './expressions.ts';
import { parameters } from './parameters.ts';
import type { Configuration } from './settings.ts';

/** Parameters that the templates need beside those that their text names. */
export const TEMPLATE_PARAMETERS = [
  'bounce_template_file',
  'header_from_format',
  'delay_warning_time',
  'maximal_queue_lifetime',
  'myhostname',
  'mydomain',
  'smtputf8_enable',
] as const;

export function loadBounceTemplates(configuration: Configuration, warn: (text: string) => void): BounceTemplates {
  const builtIn = builtInTemplates(configuration.text('header_from_format'));
  const path = configuration.text('bounce_template_file');
  if (path === '') return builtIn;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new FatalError(
      `bounce_template_file = ${path}: cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      {
        cause: error,
      },
    );
  }
  return parseBounceTemplates(text, path, builtIn, warn);
}

/** The lines of a template's text with names expanded. */
export function expandTemplate(
  template: BounceTemplate,
  configuration: Configuration,
  warn: (text: string) => void,
): string[] {
  const international = configuration.boolean('smtputf8_enable');
  const lookup = (name: string): string | undefined => {
    const time = templateTime(name, (parameter) => configuration.seconds(parameter));
    if (time !== undefined) {
      // A time of zero switches the notice off; one that is only too small for the unit would tell nonsense.
      if (time.units === 0 && time.seconds > 0) {
        warn(`${template.origin}: $${name} in ${template.name} template is zero; use a smaller unit`);
      }
      return String(time.units);
    }
    if (!parameters.has(name) && !configuration.set(name)) {
      warn(`${template.origin}: unknown parameter $${name} in ${template.name} template`);
      return undefined;
    }
    const value = configuration.text(name);
    const domain = name === 'myhostname' || name === 'mydomain';
    return international && domain ? domainToUnicode(value) || value : value;
  };
  const problems: string[] = [];
  const expansion = expand(template.text.join('\n'), {
    lookup,
    recursive: false,
    comparisons,
    functions,
    warn: (problem) => problems.push(problem),
  });
  if (expansion.malformed) {
    throw new FatalError(`${template.origin}: bad $name syntax in ${template.name} template: ${problems.join('; ')}`);
  }
  return expansion.text.split('\n');
}
