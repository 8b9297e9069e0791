/**
 * One session with a server: connecting, greeting, EHLO, HELO or LHLO, STARTTLS, and what the server offers (RFC 5321
 * section 3, RFC 2033, RFC 3207). transaction.ts sends messages over it, session-cache.ts keeps it between them.
 */
import { ClientConnection, type ConnectTarget, isBreakdown } from '../../lib/smtp/client-connection.ts';
import { type Reply, replyLines, replyOnOneLine } from '../../lib/smtp/client-reply.ts';
import type { Log } from '../../lib/util/log.ts';
import { authenticate } from './authentication.ts';
import type { Settings } from './settings.ts';
import { describeTls, isMandatory, judgeServer, serverName } from './tls.ts';
import {
  breakdownTrouble,
  connectTrouble,
  messageTrouble,
  namedAddress,
  type Peer,
  refusal,
  relayName,
  siteTrouble,
  Trouble,
  tlsTrouble,
} from './trouble.ts';

/** What the server offers in its reply to EHLO. */
export interface Features {
  readonly esmtp: boolean;
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly dsn: boolean;
  readonly smtputf8: boolean;
  readonly startTls: boolean;
  /** SASL mechanisms of AUTH; empty where there is none. */
  readonly auth: readonly string[];
  readonly size: boolean;
  /** Most octets of a message; 0 where there is no limit or none is known. */
  readonly sizeLimit: number;
}

const NO_FEATURES: Features = {
  esmtp: false,
  pipelining: false,
  eightBitMime: false,
  dsn: false,
  smtputf8: false,
  startTls: false,
  auth: [],
  size: false,
  sizeLimit: 0,
};

export interface SessionOptions {
  readonly peer: Peer;
  readonly path?: string;
  readonly settings: Settings;
  readonly log: Log;
  /** Connections that are open; whoever ends the service closes them. */
  readonly open: Set<ClientConnection>;
  /** Envelope sender, for logins that depend on it. */
  readonly sender: string;
  /** The nexthop as it was written: key of smtp_sasl_password_maps. */
  readonly destination: string;
  /** What mail is for, for "mail for … loops back to myself". */
  readonly nexthop: string;
  /** Does a server that greets with our own name mean that mail loops? */
  readonly detectLoop: boolean;
  /** Leave TLS alone, because it has just failed with this server. */
  readonly plaintext?: boolean;
}

export class Session {
  readonly connection: ClientConnection;
  readonly peer: Peer;
  /** `name[address]:port`, as logged. */
  readonly relay: string;
  readonly features: Features;
  readonly tls: boolean;
  /** Time of `performance.now()` at which the connection was made. */
  readonly since: number;
  /** Deliveries so far, the present one included. */
  uses = 0;
  /** A transaction was left in the middle: RSET comes before the next. */
  needsReset = false;
  /** The server is not in step with us, or said that it goes away. */
  unusable = false;

  constructor(connection: ClientConnection, peer: Peer, features: Features, tls: boolean, since: number) {
    this.connection = connection;
    this.peer = peer;
    this.relay = relayName(peer);
    this.features = features;
    this.tls = tls;
    this.since = since;
  }
}

/** The keywords of an EHLO reply; those to discard count as absent. */
export function parseFeatures(reply: Reply, discard: ReadonlySet<string>): Features {
  const keywords = new Map<string, string>();
  for (const line of replyLines(reply).slice(1)) {
    const blank = line.indexOf(' ');
    const keyword = (blank < 0 ? line : line.slice(0, blank)).toUpperCase();
    if (!discard.has(keyword)) keywords.set(keyword, blank < 0 ? '' : line.slice(blank + 1).trim());
  }
  const limit = Number(keywords.get('SIZE') ?? '');
  return {
    esmtp: true,
    pipelining: keywords.has('PIPELINING'),
    eightBitMime: keywords.has('8BITMIME'),
    dsn: keywords.has('DSN'),
    smtputf8: keywords.has('SMTPUTF8'),
    startTls: keywords.has('STARTTLS'),
    auth: (keywords.get('AUTH') ?? '')
      .toUpperCase()
      .split(' ')
      .filter((name) => name !== ''),
    size: keywords.has('SIZE'),
    sizeLimit: Number.isSafeInteger(limit) && limit > 0 ? limit : 0,
  };
}

function bindAddress(settings: Settings, address: string): string {
  return address.includes(':') ? settings.bindAddress6 : settings.bindAddress;
}

async function connect(options: SessionOptions): Promise<ClientConnection | Trouble> {
  const { peer, path, settings, log, open } = options;
  const local = path === undefined ? bindAddress(settings, peer.address) : '';
  const target: ConnectTarget = {
    address: peer.address,
    port: peer.port,
    timeout: settings.connectTimeout,
    ...(path === undefined ? {} : { path }),
    ...(local === '' ? {} : { localAddress: local }),
  };
  let made = await ClientConnection.connect(target, open);
  if (!(made instanceof ClientConnection) && local !== '' && made.code === 'EADDRNOTAVAIL') {
    if (settings.bindAddressEnforce) return siteTrouble('4.4.0', `server unable to bind to ${local}: ${made.text}`);
    log.warning(`connect to ${relayName(peer)}: bind ${local}: ${made.text}`);
    const { localAddress: _, ...anywhere } = target;
    made = await ClientConnection.connect(anywhere, open);
  }
  if (made instanceof ClientConnection) return made;
  const trouble = connectTrouble(peer, made);
  log.info(trouble.dsn.reason);
  return trouble;
}

/** Why there is no session: no connection, or a server that would not talk. */
export interface NoSession {
  readonly trouble: Trouble;
  /** There was a connection. */
  readonly connected: boolean;
}

/** Connects and says hello. */
export async function openSession(options: SessionOptions): Promise<Session | NoSession> {
  const since = performance.now();
  const connection = await connect(options);
  if (!(connection instanceof ClientConnection)) return { trouble: connection, connected: false };
  const session = await greet(connection, options, since);
  if (session instanceof Session) {
    const refused = await logIn(session, options);
    if (refused === undefined) return session;
    connection.quit();
    return { trouble: refused, connected: true };
  }
  connection.quit();
  return { trouble: session, connected: true };
}

function logIn({ connection, peer, features, tls }: Session, options: SessionOptions): Promise<Trouble | undefined> {
  const { settings, destination, sender } = options;
  const timeout = settings.heloTimeout;
  const offered = features.auth;
  return authenticate(settings.sasl, { connection, peer, nexthop: destination, sender, offered, tls, timeout });
}

async function greet(connection: ClientConnection, options: SessionOptions, since: number): Promise<Session | Trouble> {
  const { peer, settings } = options;
  const { level, wrapperMode } = settings.tls;
  if (wrapperMode) {
    const trouble = await handshake(connection, options);
    if (trouble !== undefined) return trouble;
  }
  const greeting = await connection.reply(settings.heloTimeout);
  if (isBreakdown(greeting)) return breakdownTrouble(peer, greeting, 'receiving the initial server greeting');
  if (Math.floor(greeting.code / 100) !== 2) return refusal(peer, greeting, settings.skip5xxGreeting);
  const sendEhlo = settings.alwaysSendEhlo || greeting.text.includes('ESMTP');
  const features = await hello(connection, options, sendEhlo && !settings.neverSendEhlo);
  if (features instanceof Trouble) return features;
  if (wrapperMode) return new Session(connection, peer, features, true, since);
  const plain = new Session(connection, peer, features, false, since);
  if (level === 'none' || options.plaintext === true) {
    if (features.startTls && settings.tls.noteOffer) options.log.info(`Host offered STARTTLS: [${peer.name}]`);
    return plain;
  }
  if (features.startTls) return secure(plain, options);
  if (!isMandatory(level)) return plain;
  return siteTrouble('4.7.4', `TLS is required, but was not offered by host ${namedAddress(peer)}`);
}

/** EHLO, and HELO where the server does not know it; LHLO for LMTP. */
async function hello(
  connection: ClientConnection,
  options: SessionOptions,
  sendEhlo: boolean,
): Promise<Features | Trouble> {
  const { peer, settings } = options;
  const lmtp = settings.protocol === 'lmtp';
  if (sendEhlo) {
    const command = lmtp ? 'LHLO' : 'EHLO';
    connection.write(`${command} ${settings.heloName}\r\n`);
    const reply = await connection.reply(settings.heloTimeout);
    if (isBreakdown(reply)) return breakdownTrouble(peer, reply, `performing the ${command} handshake`);
    if (Math.floor(reply.code / 100) === 2) {
      return loopTrouble(reply, options) ?? parseFeatures(reply, settings.discardKeywords);
    }
    if (lmtp || reply.code === 421) return refusal(peer, reply, false);
  }
  connection.write(`HELO ${settings.heloName}\r\n`);
  const reply = await connection.reply(settings.heloTimeout);
  if (isBreakdown(reply)) return breakdownTrouble(peer, reply, 'performing the HELO handshake');
  if (Math.floor(reply.code / 100) !== 2) return refusal(peer, reply, false);
  return loopTrouble(reply, options) ?? NO_FEATURES;
}

/** Did we connect to ourselves? */
function loopTrouble(reply: Reply, options: SessionOptions): Trouble | undefined {
  if (!options.detectLoop) return undefined;
  const { settings, peer, log, nexthop } = options;
  const name = replyLines(reply)[0]?.split(' ')[0] ?? '';
  if (name.toLowerCase() !== settings.myhostname.toLowerCase()) return undefined;
  log.warning(`host ${namedAddress(peer)} replied to HELO/EHLO with my own hostname ${settings.myhostname}`);
  return messageTrouble('5.4.6', `mail for ${nexthop} loops back to myself`);
}

/** Changes a session to TLS by STARTTLS; where TLS is not needed and the server has second thoughts, it stays as it is. */
async function secure(plain: Session, options: SessionOptions): Promise<Session | Trouble> {
  const { connection, peer, since } = plain;
  const { settings } = options;
  connection.write('STARTTLS\r\n');
  const reply = await connection.reply(settings.starttlsTimeout);
  if (isBreakdown(reply)) return breakdownTrouble(peer, reply, 'sending the STARTTLS command');
  if (Math.floor(reply.code / 100) !== 2) {
    if (!isMandatory(settings.tls.level)) return plain;
    const said = replyOnOneLine(reply);
    return siteTrouble('4.7.4', `TLS is required, but host ${namedAddress(peer)} refused to start TLS: ${said}`);
  }
  const trouble = await handshake(connection, options);
  if (trouble !== undefined) return trouble;
  const features = await hello(connection, options, true);
  if (features instanceof Trouble) return features;
  return new Session(connection, peer, features, true, since);
}

/** The TLS handshake, and whether the server is who it should be; undefined where all is well. */
async function handshake(connection: ClientConnection, options: SessionOptions): Promise<Trouble | undefined> {
  const { settings, peer, log } = options;
  const { tls } = settings;
  const names = { hostname: peer.name, nexthop: options.nexthop };
  const servername = serverName(tls, names);
  const secured = await connection.startTls(
    {
      rejectUnauthorized: false,
      // Which names count is decided after the handshake, by the parameters.
      checkServerIdentity: () => undefined,
      ...(tls.context === undefined ? {} : { secureContext: tls.context }),
      ...(servername === undefined ? {} : { servername }),
    },
    settings.starttlsTimeout,
  );
  if (typeof secured === 'string') {
    log.info(`SSL_connect error to ${relayName(peer)}: ${secured}`);
    return tlsTrouble('Cannot start TLS: handshake failure');
  }
  const { word, problem } = judgeServer(secured, tls, names);
  if (tls.logLevel > 0) {
    log.info(`${word} TLS connection established to ${relayName(peer)}: ${describeTls(secured)}`);
  }
  return problem === undefined ? undefined : siteTrouble('4.7.5', problem);
}
