/**
 * TLS of the SMTP and LMTP client (TLS_README, Client TLS security levels): what is offered to a server and how far its
 * certificate is believed. Settings and certificates are read once, into one context for opportunistic and one for
 * mandatory TLS.
 *
 * Levels: `none`, `may`, `encrypt`, `verify` (the certificate leads to a trusted authority and names the server as
 * smtp_tls_verify_cert_match says), `secure` (as smtp_tls_secure_cert_match says).
 *
 * Throws FatalError for files that cannot be read and for levels that this client does not have (dane, fingerprint).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, getCACertificates, type SecureContext, type TLSSocket } from 'node:tls';
import type { Configuration } from '../../lib/config/settings.ts';
import { CLIENT_TLS_LEVELS, type TlsLevel } from '../../lib/tls/levels.ts';
import { cipherList, parseProtocols } from '../../lib/tls/protocols.ts';
import { FatalError } from '../../lib/util/errors.ts';

export interface TlsSettings {
  readonly level: TlsLevel;
  /** TLS from the first octet, as on port 465. */
  readonly wrapperMode: boolean;
  readonly connectionReuse: boolean;
  readonly logLevel: number;
  readonly noteOffer: boolean;
  /** Undefined with level none. */
  readonly context: SecureContext | undefined;
  /** A host name, `hostname`, `nexthop`, or empty for none. */
  readonly servername: string;
  /** Names and strategies that a certificate has to match. */
  readonly match: readonly string[];
}

/** Parameters with a prefix, which smtp and lmtp have alike. */
export const TLS_PARAMETERS = [
  'enforce_tls',
  'tls_CAfile',
  'tls_CApath',
  'tls_cert_file',
  'tls_chain_files',
  'tls_ciphers',
  'tls_connection_reuse',
  'tls_eccert_file',
  'tls_eckey_file',
  'tls_enforce_peername',
  'tls_exclude_ciphers',
  'tls_key_file',
  'tls_loglevel',
  'tls_mandatory_ciphers',
  'tls_mandatory_exclude_ciphers',
  'tls_mandatory_protocols',
  'tls_note_starttls_offer',
  'tls_protocols',
  'tls_secure_cert_match',
  'tls_security_level',
  'tls_servername',
  'tls_verify_cert_match',
  'tls_wrappermode',
  'use_tls',
];

export const COMMON_TLS_PARAMETERS = ['tls_append_default_CA', 'tls_high_cipherlist', 'tls_medium_cipherlist'];

/** Is the message not to be sent without TLS? */
export function isMandatory(level: TlsLevel): boolean {
  return level !== 'none' && level !== 'may';
}

function readLevel(configuration: Configuration, prefix: string): TlsLevel {
  const text = configuration.text(`${prefix}tls_security_level`);
  if (text === '') {
    if (configuration.boolean(`${prefix}enforce_tls`)) {
      return configuration.boolean(`${prefix}tls_enforce_peername`) ? 'verify' : 'encrypt';
    }
    return configuration.boolean(`${prefix}use_tls`) ? 'may' : 'none';
  }
  const level = CLIENT_TLS_LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  throw new FatalError(
    `${prefix}tls_security_level = ${text}: this client knows ${CLIENT_TLS_LEVELS.join(', ')}; choose one of them`,
  );
}

function readPem(path: string, parameter: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new FatalError(`${parameter} = ${path}: ${String(error)}`, { cause: error });
  }
}

/** The trusted authorities: those configured, and those of the system where asked for. None is not the system's. */
function authorities(configuration: Configuration, prefix: string): (string | Buffer)[] {
  const trusted: (string | Buffer)[] = [];
  const file = configuration.text(`${prefix}tls_CAfile`);
  if (file !== '') trusted.push(readPem(file, `${prefix}tls_CAfile`));
  const folder = configuration.text(`${prefix}tls_CApath`);
  if (folder !== '') {
    for (const name of readdirSync(folder).filter((entry) => /\.(pem|crt|\d+)$/.test(entry))) {
      trusted.push(readPem(join(folder, name), `${prefix}tls_CApath`));
    }
  }
  if (configuration.boolean('tls_append_default_CA')) trusted.push(...getCACertificates('system'));
  return trusted;
}

/** Certificates and keys of this client. */
function credentials(configuration: Configuration, prefix: string): { cert: Buffer[]; key: Buffer[] } {
  const chains = configuration.list(`${prefix}tls_chain_files`);
  if (chains.length > 0) {
    const pems = chains.map((path) => readPem(path, `${prefix}tls_chain_files`));
    return { cert: pems, key: pems };
  }
  const pairs = [
    ['tls_cert_file', 'tls_key_file'],
    ['tls_eccert_file', 'tls_eckey_file'],
  ].filter(([cert]) => !['', 'none'].includes(configuration.text(`${prefix}${cert}`)));
  const read = (name: string) => readPem(configuration.text(prefix + name), prefix + name);
  return { cert: pairs.map(([cert]) => read(cert!)), key: pairs.map(([, key]) => read(key!)) };
}

function secureContext(configuration: Configuration, prefix: string, level: TlsLevel): SecureContext | undefined {
  if (level === 'none') return undefined;
  const kind = isMandatory(level) ? 'mandatory_' : '';
  const grade = configuration.text(`${prefix}tls_${kind}ciphers`);
  if (grade !== 'high' && grade !== 'medium') {
    throw new FatalError(`${prefix}tls_${kind}ciphers = ${grade}: expected high or medium`);
  }
  const excluded = configuration.list(`${prefix}tls_exclude_ciphers`);
  if (isMandatory(level)) excluded.push(...configuration.list(`${prefix}tls_mandatory_exclude_ciphers`));
  const list = configuration.text(grade === 'high' ? 'tls_high_cipherlist' : 'tls_medium_cipherlist');
  const parameter = `${prefix}tls_${kind}protocols`;
  try {
    return createSecureContext({
      ...parseProtocols(configuration.list(parameter), parameter),
      ...credentials(configuration, prefix),
      ciphers: cipherList(list, excluded),
      ca: authorities(configuration, prefix),
    });
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(`TLS settings of ${prefix.slice(0, -1)}: ${String(error)}`, { cause: error });
  }
}

export function compileTls(configuration: Configuration, prefix: string): TlsSettings {
  const level = readLevel(configuration, prefix);
  const wrapperMode = configuration.boolean(`${prefix}tls_wrappermode`);
  if (wrapperMode && !isMandatory(level)) {
    throw new FatalError(`${prefix}tls_wrappermode = yes needs ${prefix}tls_security_level = encrypt or higher`);
  }
  const match = configuration.list(`${prefix}tls_${level === 'secure' ? 'secure' : 'verify'}_cert_match`);
  return {
    level,
    wrapperMode,
    connectionReuse: configuration.boolean(`${prefix}tls_connection_reuse`),
    logLevel: Number.parseInt(configuration.text(`${prefix}tls_loglevel`), 10) || 0,
    noteOffer: configuration.boolean(`${prefix}tls_note_starttls_offer`),
    context: secureContext(configuration, prefix, level),
    servername: configuration.text(`${prefix}tls_servername`),
    match: match.flatMap((word) => word.split(':')).filter((word) => word !== ''),
  };
}

/** Where a connection goes, for names in certificates. */
export interface TlsPeer {
  readonly hostname: string;
  readonly nexthop: string;
}

/** The name for SNI; undefined for none. */
export function serverName(settings: TlsSettings, peer: TlsPeer): string | undefined {
  switch (settings.servername) {
    case '':
      return undefined;
    case 'hostname':
      return peer.hostname;
    case 'nexthop':
      return peer.nexthop;
    default:
      return settings.servername;
  }
}

/** The names in a certificate: those for DNS, else the common name. */
function certificateNames(socket: TLSSocket): string[] {
  const certificate = socket.getPeerCertificate();
  // Quotes stand around what could be mistaken for the separator; such a name is none of a host.
  const alternatives = (certificate.subjectaltname ?? '').split(', ').filter((entry) => entry.startsWith('DNS:'));
  if (alternatives.length > 0) return alternatives.map((entry) => entry.slice('DNS:'.length).toLowerCase());
  const { CN } = certificate.subject ?? {};
  return typeof CN === 'string' ? [CN.toLowerCase()] : [];
}

/** Does one name of a certificate, which may begin with `*.`, stand for a name or a `.domain` suffix? */
export function matchesName(certificateName: string, pattern: string): boolean {
  const wanted = pattern.toLowerCase().replace(/\.$/, '');
  if (wanted.startsWith('.')) return certificateName.endsWith(wanted) && certificateName.length > wanted.length;
  if (certificateName === wanted) return true;
  if (!certificateName.startsWith('*.')) return false;
  const dot = wanted.indexOf('.');
  return dot > 0 && wanted.slice(dot) === certificateName.slice(1);
}

function patterns(match: readonly string[], peer: TlsPeer): string[] {
  return match.map((word) => {
    if (word === 'hostname') return peer.hostname;
    if (word === 'nexthop') return peer.nexthop;
    return word === 'dot-nexthop' ? `.${peer.nexthop}` : word;
  });
}

export interface Trust {
  /** "Anonymous", "Untrusted", "Trusted", "Verified": how the log calls the connection. */
  readonly word: string;
  /** Why the server is not good enough for the level; undefined where it is. */
  readonly problem: string | undefined;
}

export function judgeServer(socket: TLSSocket, settings: TlsSettings, peer: TlsPeer): Trust {
  const names = certificateNames(socket);
  const trusted = socket.authorized;
  const wanted = patterns(settings.match, peer);
  const demanding = settings.level === 'verify' || settings.level === 'secure';
  const matches = demanding && wanted.some((pattern) => names.some((name) => matchesName(name, pattern)));
  if (Object.keys(socket.getPeerCertificate()).length === 0) {
    return { word: 'Anonymous', problem: demanding ? 'Server certificate not trusted' : undefined };
  }
  if (!trusted) return { word: 'Untrusted', problem: demanding ? 'Server certificate not trusted' : undefined };
  if (matches) return { word: 'Verified', problem: undefined };
  return { word: 'Trusted', problem: demanding ? 'Server certificate not verified' : undefined };
}

/** "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)" */
export function describeTls(socket: TLSSocket): string {
  const { name, standardName } = socket.getCipher();
  const bits = /128/.test(name) ? 128 : 256;
  const shown = socket.getProtocol() === 'TLSv1.3' ? standardName : name;
  return `${socket.getProtocol()} with cipher ${shown} (${bits}/${bits} bits)`;
}
