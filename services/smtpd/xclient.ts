/**
 * XCLIENT and XFORWARD (XCLIENT_README, XFORWARD_README), for the hosts of smtpd_authorized_xclient_hosts and
 * smtpd_authorized_xforward_hosts: a proxy tells who the client behind it is. XCLIENT makes the server treat that client
 * as its own, XFORWARD changes only what is logged and recorded.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { isHostName } from '../../lib/mail/mail-domain.ts';
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { decodeXtext } from '../../lib/smtp/xtext.ts';
import { printable } from '../../lib/util/byte-text.ts';
import { resetTransaction } from './housekeeping.ts';
import { plainAddress } from './peer.ts';
import type { NameStatus, Peer } from './restrictions/subject.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';

const UNAVAILABLE = '[UNAVAILABLE]';
const TEMPORARY = '[TEMPUNAVAIL]';
/** Longest value of an attribute. */
const VALUE = 255;

type Attributes = Map<string, string>;

/** `NAME=value` pairs in xtext; a reply where one is wrong. */
function attributes(
  words: readonly CommandWord[],
  command: 'XCLIENT' | 'XFORWARD',
  known: ReadonlySet<string>,
): Attributes | string {
  const found: Attributes = new Map();
  for (const { text } of words.slice(1)) {
    const equals = text.indexOf('=');
    if (equals < 1 || equals === text.length - 1) return `501 5.5.4 Error: attribute=value expected`;
    const name = text.slice(0, equals).toUpperCase();
    const value = decodeXtext(text.slice(equals + 1));
    if (value === undefined || value.length > VALUE) return `501 5.5.4 Error: attribute value expected`;
    if (!known.has(name)) return `501 5.5.4 Bad ${command} attribute name: ${printable(text.slice(0, equals))}`;
    found.set(name, printable(value));
  }
  return found;
}

const XCLIENT = new Set(['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'REVERSE_NAME', 'LOGIN', 'DESTADDR', 'DESTPORT']);

export function xclient(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  if (session.transaction !== undefined) return '503 5.5.1 Error: MAIL transaction in progress';
  if (words.length < 2) return '501 5.5.4 Syntax: XCLIENT attribute=value...';
  if (!session.mayXclient) return '550 5.7.0 Error: insufficient authorization';
  const given = attributes(words, 'XCLIENT', XCLIENT);
  if (typeof given === 'string') return given;
  const wrong = [...given].find(([name, value]) => SYNTAX[name]?.(value) === false);
  if (wrong !== undefined) return `501 5.5.4 Bad ${wrong[0]} syntax: ${wrong[1]}`;
  const peer = peerFrom(session.subject.peer, given);
  const { heloName, protocol } = session.subject;
  resetTransaction(session);
  session.identify(peer);
  session.subject.heloName = known(given.get('HELO')) ?? heloName;
  session.subject.protocol =
    given.get('PROTO')?.toUpperCase() === 'ESMTP' ? 'ESMTP' : given.has('PROTO') ? 'SMTP' : protocol;
  session.subject.saslUsername = known(given.get('LOGIN')) ?? '';
  session.subject.saslMethod = session.subject.saslUsername === '' ? '' : 'XCLIENT';
  session.pipelining = session.subject.protocol === 'ESMTP';
  session.mayXclient = false;
  // The session starts over as that of the new client, with a greeting.
  return session.context.greet(session);
}

/** What a value must look like; the two that stand for no value may stand in the place of any. */
const SYNTAX: Readonly<Record<string, (value: string) => boolean>> = {
  NAME: isName,
  REVERSE_NAME: isName,
  ADDR: (value) =>
    known(value) === undefined || isIPv4(value) || (/^ipv6:/i.test(value) && isIPv6(value.slice('ipv6:'.length))),
  PORT: (value) => known(value) === undefined || /^\d{1,5}$/.test(value),
  PROTO: (value) => /^e?smtp$/i.test(value),
};

function isName(value: string): boolean {
  return known(value) === undefined || isHostName(value, false);
}

function known(value: string | undefined): string | undefined {
  return value === undefined || value === '' || value.toUpperCase() === UNAVAILABLE || value.toUpperCase() === TEMPORARY
    ? undefined
    : value;
}

function statusOf(value: string): NameStatus {
  const upper = value.toUpperCase();
  return upper === UNAVAILABLE ? 'permanent' : upper === TEMPORARY ? 'temporary' : 'ok';
}

function peerFrom(before: Peer, given: Attributes): Peer {
  let { name, reverseName, address, port, nameStatus, reverseNameStatus } = before;
  const newName = given.get('NAME');
  if (newName !== undefined) {
    name = known(newName) ?? 'unknown';
    nameStatus = statusOf(newName);
    if (!given.has('REVERSE_NAME')) {
      reverseName = name;
      reverseNameStatus = nameStatus;
    }
  }
  const newReverse = given.get('REVERSE_NAME');
  if (newReverse !== undefined) {
    reverseName = known(newReverse) ?? 'unknown';
    reverseNameStatus = statusOf(newReverse);
  }
  const newAddress = given.get('ADDR');
  if (newAddress !== undefined) {
    address =
      known(newAddress) === undefined ? 'unknown' : plainAddress(newAddress.replace(/^ipv6:/i, '').toLowerCase());
  }
  const newPort = given.get('PORT');
  if (newPort !== undefined) port = /^\d{1,5}$/.test(newPort) ? Number(newPort) : 0;
  return { name, reverseName, address, port, nameStatus, reverseNameStatus };
}

const XFORWARD = new Set(['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE', 'DOMAIN']);

export function xforward(session: Session, words: readonly CommandWord[]): string {
  if (session.transaction !== undefined) return '503 5.5.1 Error: MAIL transaction in progress';
  if (words.length < 2) return '501 5.5.4 Syntax: XFORWARD attribute=value...';
  if (!session.mayXforward) return '550 5.7.0 Error: insufficient authorization';
  const given = attributes(words, 'XFORWARD', XFORWARD);
  if (typeof given === 'string') return given;
  const forwarded = new Map(session.forwarded);
  for (const [name, value] of given) forwarded.set(name, known(value) ?? 'unknown');
  session.forwarded = forwarded;
  return '250 2.0.0 Ok';
}
