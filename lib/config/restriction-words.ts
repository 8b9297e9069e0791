/**
 * Restriction lists that smtpd(8) could not run: words that are no restriction, and restrictions without their argument.
 * smtpd says so when it gets there, and its clients get 451 4.3.5 until then (postconf(5)); a check of the configuration
 * says it before. Pure.
 */
import { restrictionName, restrictionNames } from '../smtp/restriction-names.ts';
import { splitOutsideBraces } from '../util/split.ts';
import type { Configuration } from './settings.ts';

const LISTS = [
  'smtpd_client_restrictions',
  'smtpd_helo_restrictions',
  'smtpd_sender_restrictions',
  'smtpd_relay_restrictions',
  'smtpd_recipient_restrictions',
  'smtpd_data_restrictions',
  'smtpd_end_of_data_restrictions',
  'smtpd_etrn_restrictions',
];

/** One line for each, with file and line. Lists that are not set, or cannot be expanded, are passed over. */
export function restrictionProblems(configuration: Configuration): string[] {
  const overrides = configuration.master.flatMap((entry) => {
    const settings = configuration.ofEntry(entry);
    return LISTS.filter((name) => entry.overrides.has(name)).flatMap((name) => listProblems(settings, name));
  });
  const classes = configuration.list('smtpd_restriction_classes');
  const main = [...LISTS, ...classes].filter((name) => configuration.set(name));
  return [...main.flatMap((name) => listProblems(configuration, name)), ...overrides];
}

function listProblems(configuration: Configuration, parameter: string): string[] {
  const words = splitOutsideBraces(configuration.text(parameter)).map((word) =>
    word.startsWith('{') ? word.slice(1, -1).trim() : word,
  );
  const classes = new Set(configuration.list('smtpd_restriction_classes'));
  const problems: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const name = restrictionName(word);
    const takesArgument = restrictionNames.get(name);
    if (classes.has(word) || name === 'warn_if_reject') continue;
    if (takesArgument === true) {
      at += 1;
      if (words[at] === undefined) problems.push(`${word} requires an argument`);
    } else if (takesArgument === undefined && !word.includes(':')) {
      problems.push(`unknown restriction "${word}": clients would get 451 4.3.5; expected a name of postconf(5)`);
    }
  }
  return problems.map((problem) => {
    const message = `${parameter}: ${problem}`;
    return configuration.located(message) ?? message;
  });
}
