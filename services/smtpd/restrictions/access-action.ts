/**
 * The right-hand side of access(5) tables, and of whatever speaks their language (policy services): OK, REJECT, DEFER,
 * 4NN and 5NN with text, DUNNO, HOLD, DISCARD, FILTER, REDIRECT, BCC, PREPEND, INFO, WARN, and lists of restrictions.
 *
 * Logs what an action does besides refusing. A mistake in a table is a warning, and as if nothing had been found.
 */
import { splitEnhancedStatus } from '../../../lib/mail/enhanced-status.ts';
import type { AccessLookup } from './access.ts';
import { compileRestrictions } from './compile.ts';
import { adaptStatus } from './dsn-status.ts';
import { evaluate } from './evaluate.ts';
import type { Subject } from './subject.ts';
import {
  deferIfPermit,
  deferIfReject,
  logAction,
  type MaybePromise,
  refuse,
  serverError,
  type Verdict,
} from './verdict.ts';

const FOUR = 52;
const FIVE = 53;

/** Carries out the action that was found for `key`: the whole of what was looked for, whichever part of it the table has. */
export function applyAccessAction(
  lookup: AccessLookup,
  subject: Subject,
  key: string,
  value: string,
): MaybePromise<Verdict> {
  const text = value.trim();
  const blank = text.search(/[ \t]/);
  const word = (blank < 0 ? text : text.slice(0, blank)).toUpperCase();
  const rest = blank < 0 ? '' : text.slice(blank).trim();
  const action = ACTIONS[word];
  if (action !== undefined && Object.hasOwn(ACTIONS, word)) return action(lookup, subject, rest, key);
  const first = word.charCodeAt(0);
  if (/^\d+$/.test(word)) {
    // A number alone is what tables for other purposes hold (access(5)).
    if (rest === '') return 'permit';
    if (word.length === 3 && (first === FOUR || first === FIVE)) {
      return refuseWith(lookup, subject, Number(word), '5.7.1', rest, 'Access denied');
    }
  }
  return restrictionsIn(lookup, subject, text);
}

type Action = (lookup: AccessLookup, subject: Subject, text: string, key: string) => MaybePromise<Verdict>;

const ACTIONS: Readonly<Record<string, Action>> = {
  OK: () => 'permit',
  RELAY: () => 'permit',
  DUNNO: () => 'dunno',
  REJECT: (lookup, subject, text) => {
    const code = lookup.environment.configuration.integer('access_map_reject_code');
    return refuseWith(lookup, subject, code, '5.7.1', text, 'Access denied');
  },
  DEFER: (lookup, subject, text) => {
    const code = lookup.environment.configuration.integer('access_map_defer_code');
    return refuseWith(lookup, subject, code, '4.7.1', text, 'Access denied');
  },
  DEFER_IF_PERMIT: (lookup, subject, text) => {
    const { status, text: reason } = splitStatus(lookup, text, '4.7.1');
    deferIfPermit(lookup.environment, subject, 450, status, named(lookup, subject, reason || 'Service unavailable'));
    return 'dunno';
  },
  DEFER_IF_REJECT: (lookup, subject, text) => {
    const { status, text: reason } = splitStatus(lookup, text, '4.7.1');
    deferIfReject(lookup.environment, subject, 450, status, named(lookup, subject, reason || 'Service unavailable'));
    return 'dunno';
  },
  HOLD: (lookup, subject, text) => {
    // Once is enough for a message, however many recipients ask for it.
    if (subject.actions.hold) return 'dunno';
    subject.actions.hold = true;
    return note(lookup, subject, 'hold', text || 'triggers HOLD action');
  },
  DISCARD: (lookup, subject, text) => {
    subject.actions.discard = true;
    note(lookup, subject, 'discard', text || 'triggers DISCARD action');
    return 'permit';
  },
  FILTER: (lookup, subject, text, key) => {
    if (text === '') return warn(lookup, key, 'has FILTER entry without value');
    if (!text.includes(':')) return warn(lookup, key, 'requires transport:destination');
    subject.actions.filter = text;
    return note(lookup, subject, 'filter', `triggers FILTER ${text}`);
  },
  REDIRECT: (lookup, subject, text, key) => {
    if (!text.includes('@')) return warn(lookup, key, 'requires user@domain target');
    subject.actions.redirect = text;
    return note(lookup, subject, 'redirect', `triggers REDIRECT ${text}`);
  },
  BCC: (lookup, subject, text, key) => {
    if (!text.includes('@')) return warn(lookup, key, 'requires user@domain target');
    subject.actions.bcc.push(text);
    return note(lookup, subject, 'bcc', `triggers BCC ${text}`);
  },
  PREPEND: (lookup, subject, text, key) => {
    if (!isHeader(text)) return warn(lookup, key, 'requires header: text');
    if (subject.stage === 'END-OF-MESSAGE') return warn(lookup, key, 'has PREPEND after the message content');
    subject.actions.prepend.push(text);
    return 'dunno';
  },
  INFO: (lookup, subject, text) => say(lookup, subject, 'info', text),
  WARN: (lookup, subject, text) => say(lookup, subject, 'warn', text),
};

function named(lookup: AccessLookup, subject: Subject, text: string): string {
  return `<${lookup.about.name(subject)}>: ${lookup.about.replyClass} rejected: ${text}`;
}

/** Logs an action that leaves the message on its way. */
function note(lookup: AccessLookup, subject: Subject, action: string, text: string): Verdict {
  const { about, environment } = lookup;
  logAction(environment.log, subject, action, `<${about.name(subject)}>: ${about.replyClass} ${text}`.trimEnd());
  return 'dunno';
}

/** Logs a text of the table as it stands there. */
function say({ environment }: AccessLookup, subject: Subject, action: string, text: string): Verdict {
  logAction(environment.log, subject, action, text);
  return 'dunno';
}

/** `Name: text`? */
function isHeader(text: string): boolean {
  return /^[!-9;-~]+[ \t]*:/.test(text);
}

function warn(lookup: AccessLookup, key: string, problem: string): Verdict {
  const { table, environment } = lookup;
  environment.log.warning(`access table ${table.type}:${table.name} entry "${key}" ${problem}`);
  return 'dunno';
}

/** The status code in front of a text, made to fit what the reply is about. */
function splitStatus(lookup: AccessLookup, text: string, fallback: string): { status: string; text: string } {
  const split = splitEnhancedStatus(text, fallback);
  return { ...split, status: adaptStatus(split.status, lookup.about.replyClass, lookup.environment.log) };
}

function refuseWith(
  lookup: AccessLookup,
  subject: Subject,
  code: number,
  fallback: string,
  text: string,
  noText: string,
): Verdict {
  const { status, text: reason } = splitStatus(lookup, text, fallback);
  return refuse(lookup.environment, subject, code, status, named(lookup, subject, reason || noText));
}

const compiled = new WeakMap<object, Map<string, ReturnType<typeof compileRestrictions>>>();

/** Any other value is a list of restrictions, compiled once. */
async function restrictionsIn(lookup: AccessLookup, subject: Subject, text: string): Promise<Verdict> {
  const { environment, table } = lookup;
  if (text.includes(':')) {
    environment.log.warning(`access table ${table.type}:${table.name} has entry with lookup table: ${text}`);
    environment.log.warning('do not specify lookup tables inside SMTPD access maps');
    environment.log.warning('define a restriction class and specify its name instead.');
    return serverError(environment, subject);
  }
  const lists = compiled.get(lookup.table) ?? new Map<string, ReturnType<typeof compileRestrictions>>();
  compiled.set(lookup.table, lists);
  const key = `${lookup.kind} ${text}`;
  const list = lists.get(key) ?? compileRestrictions(lookup.environment, lookup.kind, text);
  if (lists.size > 1000) lists.clear();
  lists.set(key, list);
  return await evaluate(await list, subject);
}
