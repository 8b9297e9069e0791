/**
 * Mistakes that smtpd(8) starts with and then refuses its clients for: words of restriction lists that are no restriction,
 * restrictions without their argument, network patterns in mynetworks that cannot be read. smtpd says so when it gets there,
 * with 451 4.3.5 for the client (postconf(5)); a check of the configuration says it before. Pure.
 */
import { restrictionName, restrictionNames, restrictionWords } from '../smtp/restriction-names.ts';
import { parseCidr } from '../util/ip-address.ts';
import { splitOutsideBraces } from '../util/split.ts';
import type { Configuration } from './settings.ts';

const LISTS = ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data', 'etrn'].map(
  (kind) => `smtpd_${kind}_restrictions`,
);

/** One line for each, with file and line. No value of the configuration may be wrong by itself. */
export function clientRefusals(configuration: Configuration): string[] {
  return [...restrictionProblems(configuration), ...networkProblems(configuration)];
}

/** The same for mynetworks. Names of hosts, files and tables are not looked at. */
function networkProblems(configuration: Configuration): string[] {
  if (!configuration.set('mynetworks')) return [];
  return splitOutsideBraces(configuration.text('mynetworks')).flatMap((word) => {
    const pattern = word.replace(/^!+/, '');
    if (!/^[\d.]+(?:\/.*)?$|^\[/.test(pattern)) return [];
    const read = parseCidr(pattern);
    if (!('error' in read)) return [];
    return [configuration.withPlace(`mynetworks: ${word}: ${read.error}; expected an address or network/length`)];
  });
}

function restrictionProblems(configuration: Configuration): string[] {
  const overrides = configuration.master.flatMap((entry) => {
    const settings = configuration.ofEntry(entry);
    return LISTS.filter((name) => entry.overrides.has(name)).flatMap((name) => listProblems(settings, name));
  });
  const classes = configuration.list('smtpd_restriction_classes');
  const main = [...LISTS, ...classes].filter((name) => configuration.set(name));
  return [...main.flatMap((name) => listProblems(configuration, name)), ...overrides];
}

function listProblems(configuration: Configuration, parameter: string): string[] {
  const words = restrictionWords(configuration.text(parameter));
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
  return problems.map((problem) => configuration.withPlace(`${parameter}: ${problem}`));
}
