/**
 * AUTH (RFC 4954) as a client: which user name and password for which server, by smtp_sasl_password_maps, and the
 * conversation. See SASL_README, Configuring SASL authentication in the Postfix SMTP/LMTP client.
 *
 * Credentials are looked for by the sender (smtp_sender_dependent_authentication), by the name of the server and by the
 * nexthop; where there are none, or the server offers no AUTH, mail goes without.
 *
 * Limits: mechanisms CRAM-MD5, PLAIN and LOGIN; smtp_sasl_type and smtp_sasl_path mean nothing; no cache of refusals.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { type Credentials, chooseMechanism, type SaslMechanism } from '../../lib/sasl/client.ts';
import type { ClientConnection } from '../../lib/smtp/client-connection.ts';
import { type Breakdown, isBreakdown } from '../../lib/smtp/client-connection.ts';
import { type Reply, replyOnOneLine } from '../../lib/smtp/client-reply.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { TableError } from '../../lib/tables/table.ts';
import { breakdownTrouble, loginRefusal, namedAddress, type Peer, siteTrouble, type Trouble } from './trouble.ts';

export interface SaslSettings {
  readonly enabled: boolean;
  readonly byName: Maps;
  readonly senderDependent: boolean;
  readonly delimiter: string;
  /** smtp_sasl_mechanism_filter; empty for all. */
  readonly filter: readonly string[];
  /** May the password cross the network as it is: in the clear, under TLS? */
  readonly plaintextInClear: boolean;
  readonly plaintextUnderTls: boolean;
  readonly softBounce: boolean;
}

/** Parameters with a prefix, which smtp and lmtp have alike. */
export const SASL_PARAMETERS = [
  'sasl_auth_enable',
  'sasl_auth_soft_bounce',
  'sasl_mechanism_filter',
  'sasl_password_maps',
  'sasl_password_result_delimiter',
  'sasl_security_options',
  'sasl_tls_security_options',
  'sender_dependent_authentication',
];

export function compileSasl(configuration: Configuration, prefix: string, byName: Maps): SaslSettings {
  const allowsPlaintext = (name: string) => !configuration.list(prefix + name).includes('noplaintext');
  return {
    enabled: configuration.boolean(`${prefix}sasl_auth_enable`),
    byName,
    senderDependent: configuration.boolean(`${prefix}sender_dependent_authentication`),
    delimiter: configuration.text(`${prefix}sasl_password_result_delimiter`) || ':',
    filter: configuration.list(`${prefix}sasl_mechanism_filter`).map((name) => name.toUpperCase()),
    plaintextInClear: allowsPlaintext('sasl_security_options'),
    plaintextUnderTls: allowsPlaintext('sasl_tls_security_options'),
    softBounce: configuration.boolean(`${prefix}sasl_auth_soft_bounce`),
  };
}

export interface Login {
  readonly connection: ClientConnection;
  readonly peer: Peer;
  readonly nexthop: string;
  readonly sender: string;
  /** Mechanisms of the AUTH keyword in the reply to EHLO. */
  readonly offered: readonly string[];
  readonly tls: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

/** The credentials for a server, or undefined; rejects with TableError. */
async function findCredentials(settings: SaslSettings, login: Login): Promise<Credentials | undefined> {
  const keys = [...(settings.senderDependent ? [login.sender] : []), login.peer.name, login.nexthop];
  for (const key of keys) {
    const value = await settings.byName.lookup(key);
    if (value === undefined) continue;
    const at = value.indexOf(settings.delimiter);
    if (at < 0) return { user: value, password: '' };
    return { user: value.slice(0, at), password: value.slice(at + settings.delimiter.length) };
  }
  return undefined;
}

/** `!NAME` in the filter excludes; anything else must be named. */
function passesFilter(name: string, filter: readonly string[]): boolean {
  if (filter.length === 0) return true;
  for (const pattern of filter) {
    if (pattern === `!${name}`) return false;
    if (pattern === name || pattern === 'STATIC:ALL') return true;
  }
  return false;
}

/** Logs in where that is wanted; undefined where the session can go on. */
export async function authenticate(settings: SaslSettings, login: Login): Promise<Trouble | undefined> {
  if (!settings.enabled || login.offered.length === 0) return undefined;
  const server = namedAddress(login.peer);
  let credentials: Credentials | undefined;
  try {
    credentials = await findCredentials(settings, login);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return siteTrouble('4.3.0', `SASL authentication failed: ${settings.byName.parameter} lookup failure`);
  }
  if (credentials === undefined) return undefined;
  const usable = new Set(login.offered.filter((name) => passesFilter(name, settings.filter)));
  const mechanism = chooseMechanism(usable, login.tls ? settings.plaintextUnderTls : settings.plaintextInClear);
  if (mechanism === undefined) {
    return siteTrouble(
      '4.7.0',
      `SASL authentication failed; server ${server} offered no compatible authentication mechanisms for this type of connection security`,
    );
  }
  const reply = await converse(mechanism, credentials, login);
  if (isBreakdown(reply)) return breakdownTrouble(login.peer, reply, 'performing SASL authentication');
  if (Math.floor(reply.code / 100) === 2) return undefined;
  const text = `SASL authentication failed; server ${server} said: ${replyOnOneLine(reply)}`;
  return loginRefusal(login.peer, reply, text, settings.softBounce);
}

async function converse(mechanism: SaslMechanism, credentials: Credentials, login: Login): Promise<Reply | Breakdown> {
  const { connection, timeout } = login;
  const initial = mechanism.initial(credentials);
  const argument = initial === undefined ? '' : ` ${initial.toString('base64')}`;
  connection.write(`AUTH ${mechanism.name}${argument}\r\n`);
  for (let step = 0; ; step++) {
    const reply = await connection.reply(timeout);
    if (isBreakdown(reply) || reply.code !== 334) return reply;
    const challenge = Buffer.from(reply.text.slice(4), 'base64');
    const answer = mechanism.answer(credentials, challenge, step);
    // A server that asks for more than there is to say is told that the login is off (RFC 4954 section 4).
    connection.write(answer === undefined ? '*\r\n' : `${answer.toString('base64')}\r\n`);
  }
}
