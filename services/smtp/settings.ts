/**
 * The settings of the SMTP and LMTP client, compiled once from main.cf: smtp_… parameters, or the lmtp_… ones that
 * mirror them. Times are milliseconds.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { compileSasl, SASL_PARAMETERS, type SaslSettings } from './authentication.ts';
import { COMMON_TLS_PARAMETERS, compileTls, TLS_PARAMETERS, type TlsSettings } from './tls.ts';

export type Protocol = 'smtp' | 'lmtp';

export interface Settings {
  readonly protocol: Protocol;
  readonly myhostname: string;
  /** Said in EHLO, HELO or LHLO. */
  readonly heloName: string;
  readonly defaultPort: number;
  readonly knownPorts: ReadonlyMap<string, number>;
  readonly queueDirectory: string;

  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly addressPreference: 'any' | 'ipv4' | 'ipv6';
  readonly balanceProtocols: boolean;
  readonly randomizeAddresses: boolean;
  /** Is MX lookup made at all; is the DNS asked for addresses; is the host's own resolver. */
  readonly mxLookup: boolean;
  readonly dnsLookup: boolean;
  readonly nativeLookup: boolean;
  readonly ignoreMxLookupError: boolean;
  readonly deferIfNoMxAddress: boolean;
  readonly mxAddressLimit: number;
  readonly mxSessionLimit: number;
  readonly fallbackRelay: readonly string[];
  readonly bindAddress: string;
  readonly bindAddress6: string;
  readonly bindAddressEnforce: boolean;

  readonly alwaysSendEhlo: boolean;
  readonly neverSendEhlo: boolean;
  readonly skip5xxGreeting: boolean;
  readonly skipQuitResponse: boolean;
  readonly quoteEnvelope: boolean;
  readonly discardKeywords: ReadonlySet<string>;
  readonly lineLengthLimit: number;
  readonly assumeFinal: boolean;
  readonly bestMxTransport: string;

  readonly cacheOnDemand: boolean;
  readonly cacheDestinations: ReadonlySet<string>;
  readonly cacheTime: number;
  readonly reuseTime: number;
  readonly reuseCount: number;

  readonly tls: TlsSettings;
  readonly sasl: SaslSettings;

  readonly connectTimeout: number;
  readonly heloTimeout: number;
  readonly starttlsTimeout: number;
  readonly mailTimeout: number;
  readonly rcptTimeout: number;
  readonly dataInitTimeout: number;
  readonly dataXferTimeout: number;
  readonly dataDoneTimeout: number;
  readonly rsetTimeout: number;
}

/** Parameters with a prefix, which smtp and lmtp have alike. */
const MIRRORED = [
  'address_preference',
  'balance_inet_protocols',
  'bind_address',
  'bind_address6',
  'bind_address_enforce',
  'connect_timeout',
  'connection_cache_destinations',
  'connection_cache_on_demand',
  'connection_cache_time_limit',
  'connection_reuse_count_limit',
  'connection_reuse_time_limit',
  'data_done_timeout',
  'data_init_timeout',
  'data_xfer_timeout',
  'defer_if_no_mx_address_found',
  'dns_support_level',
  'fallback_relay',
  'host_lookup',
  'line_length_limit',
  'mail_timeout',
  'mx_address_limit',
  'mx_session_limit',
  'quote_rfc821_envelope',
  'randomize_addresses',
  'rcpt_timeout',
  'rset_timeout',
  'skip_5xx_greeting',
  'skip_quit_response',
  'starttls_timeout',
  'tcp_port',
  ...TLS_PARAMETERS,
  ...SASL_PARAMETERS,
];

const COMMON = [
  'best_mx_transport',
  'disable_dns_lookups',
  'ignore_mx_lookup_error',
  'inet_interfaces',
  'inet_protocols',
  'known_tcp_ports',
  'myhostname',
  'postfleet_dns_servers',
  'proxy_interfaces',
  'queue_directory',
  ...COMMON_TLS_PARAMETERS,
];

const OWN: Readonly<Record<Protocol, readonly string[]>> = {
  smtp: [
    'smtp_helo_name',
    'smtp_helo_timeout',
    'smtp_discard_ehlo_keywords',
    'smtp_always_send_ehlo',
    'smtp_never_send_ehlo',
  ],
  lmtp: ['lmtp_lhlo_name', 'lmtp_lhlo_timeout', 'lmtp_discard_lhlo_keywords', 'lmtp_assume_final'],
};

export function parameterNames(protocol: Protocol): string[] {
  return [...COMMON, ...OWN[protocol], ...MIRRORED.map((name) => `${protocol}_${name}`)];
}

/** `lmtp=24, smtp=25, smtps=submissions=465` (postconf(5), known_tcp_ports). */
export function parseKnownPorts(text: string): Map<string, number> {
  const ports = new Map<string, number>();
  for (const entry of text.split(',')) {
    const words = entry.split('=').map((word) => word.trim());
    const port = Number(words.pop());
    if (!Number.isInteger(port) || port < 1 || port > 65_535) continue;
    for (const name of words) ports.set(name, port);
  }
  return ports;
}

export function resolvePort(name: string, known: ReadonlyMap<string, number>): number | undefined {
  const port = known.get(name) ?? Number(name);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}

function dnsSupport(configuration: Configuration, prefix: string): { dns: boolean } {
  const level = configuration.text(`${prefix}dns_support_level`);
  if (level === '') return { dns: !configuration.boolean('disable_dns_lookups') };
  return { dns: level !== 'disabled' };
}

function addressPreference(configuration: Configuration, prefix: string): Settings['addressPreference'] {
  const preference = configuration.text(`${prefix}address_preference`);
  if (preference === 'any' || preference === 'ipv4' || preference === 'ipv6') return preference;
  throw new FatalError(`${prefix}address_preference = ${preference}: expected any, ipv4 or ipv6`);
}

/** `passwords`: the tables of smtp_sasl_password_maps. */
export function compileSettings(configuration: Configuration, protocol: Protocol, passwords: Maps): Settings {
  const prefix = `${protocol}_`;
  const lmtp = protocol === 'lmtp';
  const boolean = (name: string) => configuration.boolean(prefix + name);
  const integer = (name: string) => configuration.integer(prefix + name);
  const milliseconds = (name: string) => configuration.seconds(prefix + name) * 1000;
  const protocols = configuration.list('inet_protocols');
  const knownPorts = parseKnownPorts(configuration.text('known_tcp_ports'));
  const portName = configuration.text(`${prefix}tcp_port`);
  const defaultPort = resolvePort(portName, knownPorts);
  if (defaultPort === undefined) {
    throw new FatalError(`${prefix}tcp_port = ${portName}: expected a port number or a name of known_tcp_ports`);
  }
  const { dns } = dnsSupport(configuration, prefix);
  const hostLookup = configuration.list(`${prefix}host_lookup`);
  return {
    protocol,
    myhostname: configuration.text('myhostname'),
    heloName: configuration.text(lmtp ? 'lmtp_lhlo_name' : 'smtp_helo_name'),
    defaultPort,
    knownPorts,
    queueDirectory: configuration.text('queue_directory'),

    ipv4: protocols.includes('all') || protocols.includes('ipv4'),
    ipv6: protocols.includes('all') || protocols.includes('ipv6'),
    addressPreference: addressPreference(configuration, prefix),
    balanceProtocols: boolean('balance_inet_protocols'),
    randomizeAddresses: boolean('randomize_addresses'),
    mxLookup: dns && !lmtp,
    dnsLookup: dns && hostLookup.includes('dns'),
    nativeLookup: !dns || hostLookup.includes('native'),
    ignoreMxLookupError: configuration.boolean('ignore_mx_lookup_error'),
    deferIfNoMxAddress: boolean('defer_if_no_mx_address_found'),
    mxAddressLimit: integer('mx_address_limit'),
    mxSessionLimit: integer('mx_session_limit'),
    fallbackRelay: configuration.list(`${prefix}fallback_relay`),
    bindAddress: configuration.text(`${prefix}bind_address`),
    bindAddress6: configuration.text(`${prefix}bind_address6`),
    bindAddressEnforce: boolean('bind_address_enforce'),

    alwaysSendEhlo: lmtp || configuration.boolean('smtp_always_send_ehlo'),
    neverSendEhlo: !lmtp && configuration.boolean('smtp_never_send_ehlo'),
    skip5xxGreeting: boolean('skip_5xx_greeting'),
    skipQuitResponse: boolean('skip_quit_response'),
    quoteEnvelope: boolean('quote_rfc821_envelope'),
    discardKeywords: new Set(
      configuration
        .list(lmtp ? 'lmtp_discard_lhlo_keywords' : 'smtp_discard_ehlo_keywords')
        .map((word) => word.toUpperCase()),
    ),
    lineLengthLimit: integer('line_length_limit'),
    assumeFinal: lmtp && configuration.boolean('lmtp_assume_final'),
    bestMxTransport: configuration.text('best_mx_transport'),

    cacheOnDemand: boolean('connection_cache_on_demand'),
    cacheDestinations: new Set(
      configuration.list(`${prefix}connection_cache_destinations`).map((name) => name.toLowerCase()),
    ),
    cacheTime: milliseconds('connection_cache_time_limit'),
    reuseTime: milliseconds('connection_reuse_time_limit'),
    reuseCount: integer('connection_reuse_count_limit'),

    tls: compileTls(configuration, prefix),
    sasl: compileSasl(configuration, prefix, passwords),

    connectTimeout: milliseconds('connect_timeout'),
    heloTimeout: configuration.seconds(lmtp ? 'lmtp_lhlo_timeout' : 'smtp_helo_timeout') * 1000,
    starttlsTimeout: milliseconds('starttls_timeout'),
    mailTimeout: milliseconds('mail_timeout'),
    rcptTimeout: milliseconds('rcpt_timeout'),
    dataInitTimeout: milliseconds('data_init_timeout'),
    dataXferTimeout: milliseconds('data_xfer_timeout'),
    dataDoneTimeout: milliseconds('data_done_timeout'),
    rsetTimeout: milliseconds('rset_timeout'),
  };
}
