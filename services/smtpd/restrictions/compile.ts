/**
 * Compiles the text of a restriction list (smtpd_recipient_restrictions and its like, and the values of access tables)
 * into checks. What is wrong with a restriction is found when it runs, as in Postfix: a warning, and 451 4.3.5 for the
 * client; a list that is never reached does no harm.
 */
import { restrictionName, restrictionWords } from '../../../lib/smtp/restriction-names.ts';
import { accessRestrictions, tableRestriction } from './access.ts';
import { certificateRestrictions } from './certificates.ts';
import { destinationRestrictions } from './destination.ts';
import { dnsRestrictions } from './dns-checks.ts';
import { dnsListRestrictions } from './dns-lists.ts';
import type { Check, ListKind, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { evaluate } from './evaluate.ts';
import { genericRestrictions } from './generic.ts';
import { mxBackupRestrictions } from './mx-backup.ts';
import { removedRestrictions } from './removed.ts';
import { senderLoginRestrictions } from './sender-login.ts';
import { serverAccessRestrictions } from './server-access.ts';
import { syntaxRestrictions } from './syntax.ts';
import { unlistedRestrictions } from './unlisted.ts';
import { serverError } from './verdict.ts';

export const RESTRICTIONS: RestrictionTable = {
  ...genericRestrictions,
  ...destinationRestrictions,
  ...mxBackupRestrictions,
  ...syntaxRestrictions,
  ...senderLoginRestrictions,
  ...unlistedRestrictions,
  ...certificateRestrictions,
  ...accessRestrictions,
  ...dnsRestrictions,
  ...serverAccessRestrictions,
  ...dnsListRestrictions,
  ...removedRestrictions,
};

/** Restrictions after these never run. */
const FINAL = new Set(['permit', 'reject', 'defer']);

/** How deep restriction classes and access tables may refer to each other. */
const DEPTH = 100;

export async function compileRestrictions(
  environment: RestrictionEnvironment,
  kind: ListKind,
  text: string,
  depth = 0,
): Promise<readonly Check[]> {
  if (depth > DEPTH) {
    environment.log.warning(`restriction class recursion limit reached`);
    return [(subject) => serverError(environment, subject)];
  }
  const words = restrictionWords(text);
  const classes = new Set(environment.configuration.list('smtpd_restriction_classes'));
  const checks: Check[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const name = classes.has(word)
      ? word.toLowerCase()
      : restrictionName(word, (problem) => environment.log.warning(problem));
    if (name === 'warn_if_reject') {
      const next = restrictionName(words[at + 1] ?? '');
      const size = Object.hasOwn(RESTRICTIONS, next) && RESTRICTIONS[next]?.argument ? 2 : 1;
      const covered = words.slice(at + 1, at + 1 + size);
      if (covered.length === 0) environment.log.warning('missing restriction after warn_if_reject');
      checks.push(warnOnly(await compileRestrictions(environment, kind, covered.join(' '), depth + 1)));
      at += size;
      continue;
    }
    const restriction = Object.hasOwn(RESTRICTIONS, name) ? RESTRICTIONS[name] : undefined;
    if (restriction !== undefined) {
      const argument = restriction.argument ? words[++at] : '';
      checks.push(await make(environment, kind, restriction, name, argument));
      const next = words[at + 1];
      if (FINAL.has(name) && next !== undefined) {
        environment.log.warning(`restriction \`${next}' after \`${name}' is ignored`);
      }
    } else if (classes.has(word)) {
      const inner = await compileRestrictions(environment, kind, environment.configuration.text(word), depth + 1);
      checks.push((subject) => evaluate(inner, subject));
    } else if (word.includes(':')) {
      checks.push(await make(environment, kind, tableRestriction(kind), word, word));
    } else {
      checks.push((subject) => {
        environment.log.warning(`unknown smtpd restriction: "${word}"`);
        return serverError(environment, subject);
      });
    }
  }
  return checks;
}

async function make(
  environment: RestrictionEnvironment,
  kind: ListKind,
  restriction: Restriction,
  name: string,
  argument: string | undefined,
): Promise<Check> {
  const table = argument ?? name;
  if (restriction.argument && name.endsWith('_access') && !table.includes(':')) {
    return (subject) => {
      environment.log.warning(`restriction ${name}: bad argument "${table}": need maptype:mapname`);
      return serverError(environment, subject);
    };
  }
  if (argument !== undefined) return await restriction.make(environment, kind, argument);
  if (Object.hasOwn(dnsListRestrictions, name)) {
    return () => {
      environment.log.warning(`restriction ${name} requires domain name argument`);
      return 'dunno';
    };
  }
  return (subject) => {
    environment.log.warning(`restriction ${name} requires an argument`);
    return serverError(environment, subject);
  };
}

/** Runs a restriction whose refusal is only logged. */
function warnOnly(checks: readonly Check[]): Check {
  return (subject) => {
    subject.warnIfReject = true;
    const verdict = evaluate(checks, subject);
    if (!(verdict instanceof Promise)) {
      subject.warnIfReject = false;
      return verdict;
    }
    return verdict.finally(() => {
      subject.warnIfReject = false;
    });
  };
}
