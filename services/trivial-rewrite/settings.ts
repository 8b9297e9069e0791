/**
 * The parameters of trivial-rewrite(8), compiled once: what a request needs, as values with their types.
 *
 * Throws FatalError for wrong values.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import type { RewriteContext } from './rewrite.ts';
import { parseRoute, type Route } from './transport.ts';

/** The parameters that one kind of resolving uses: those of delivery, or the address_verify_ ones beside them. */
export interface RouteSettings {
  readonly localTransport: Route;
  readonly virtualTransport: Route;
  readonly relayTransport: Route;
  readonly defaultTransport: Route;
  readonly relayhost: string;
  readonly senderDependentRelayhostMaps: string;
  readonly senderDependentDefaultTransportMaps: string;
  readonly transportMaps: string;
}

export interface TrivialRewriteSettings {
  readonly myhostname: string;
  readonly myorigin: string;
  readonly local: RewriteContext;
  readonly remote: RewriteContext;
  readonly recipientDelimiter: string;
  readonly resolveDequotedAddress: boolean;
  readonly resolveNullDomain: boolean;
  readonly resolveNumericDomain: boolean;
  readonly allowMinUser: boolean;
  readonly emptyAddressRecipient: string;
  readonly emptyAddressRelayhostKey: string;
  readonly emptyAddressDefaultTransportKey: string;
  readonly mydestination: string;
  readonly virtualAliasDomains: string;
  readonly virtualMailboxDomains: string;
  readonly relayDomains: string;
  readonly relocatedMaps: string;
  readonly relocatedPrefixEnable: boolean;
  readonly showUserUnknownTableName: boolean;
  /** parent_domain_matches_subdomains: names of lists whose `example.com` stands for its subdomains too. */
  readonly parentDomainLists: ReadonlySet<string>;
  readonly resolve: RouteSettings;
  readonly verify: RouteSettings;
}

const ROUTE_PARAMETERS = [
  'local_transport',
  'virtual_transport',
  'relay_transport',
  'default_transport',
  'relayhost',
  'sender_dependent_relayhost_maps',
  'sender_dependent_default_transport_maps',
  'transport_maps',
] as const;

/** The main.cf parameters that the service reads. */
export const trivialRewriteParameters: readonly string[] = [
  'allow_min_user',
  'allow_percent_hack',
  'append_at_myorigin',
  'append_dot_mydomain',
  'empty_address_default_transport_maps_lookup_key',
  'empty_address_recipient',
  'empty_address_relayhost_maps_lookup_key',
  'inet_interfaces',
  'inet_protocols',
  'mydestination',
  'mydomain',
  'myhostname',
  'myorigin',
  'parent_domain_matches_subdomains',
  'proxy_interfaces',
  'recipient_delimiter',
  'relay_domains',
  'relocated_maps',
  'relocated_prefix_enable',
  'remote_header_rewrite_domain',
  'resolve_dequoted_address',
  'resolve_null_domain',
  'resolve_numeric_domain',
  'show_user_unknown_table_name',
  'swap_bangpath',
  'virtual_alias_domains',
  'virtual_mailbox_domains',
  ...ROUTE_PARAMETERS,
  ...ROUTE_PARAMETERS.map((name) => `address_verify_${name}`),
];

export function readSettings(configuration: Configuration): TrivialRewriteSettings {
  return {
    myhostname: configuration.text('myhostname'),
    myorigin: configuration.text('myorigin'),
    local: rewriteContext(configuration, configuration.text('myorigin'), configuration.text('mydomain')),
    remote: remoteContext(configuration),
    recipientDelimiter: configuration.text('recipient_delimiter'),
    resolveDequotedAddress: configuration.boolean('resolve_dequoted_address'),
    resolveNullDomain: configuration.boolean('resolve_null_domain'),
    resolveNumericDomain: configuration.boolean('resolve_numeric_domain'),
    allowMinUser: configuration.boolean('allow_min_user'),
    emptyAddressRecipient: configuration.text('empty_address_recipient'),
    emptyAddressRelayhostKey: configuration.text('empty_address_relayhost_maps_lookup_key'),
    emptyAddressDefaultTransportKey: configuration.text('empty_address_default_transport_maps_lookup_key'),
    mydestination: configuration.text('mydestination'),
    virtualAliasDomains: configuration.text('virtual_alias_domains'),
    virtualMailboxDomains: configuration.text('virtual_mailbox_domains'),
    relayDomains: configuration.text('relay_domains'),
    relocatedMaps: configuration.text('relocated_maps'),
    relocatedPrefixEnable: configuration.boolean('relocated_prefix_enable'),
    showUserUnknownTableName: configuration.boolean('show_user_unknown_table_name'),
    parentDomainLists: new Set(configuration.list('parent_domain_matches_subdomains')),
    resolve: routeSettings(configuration, ''),
    verify: routeSettings(configuration, 'address_verify_'),
  };
}

function remoteContext(configuration: Configuration): RewriteContext {
  const domain = configuration.text('remote_header_rewrite_domain');
  return rewriteContext(configuration, domain, domain);
}

function rewriteContext(configuration: Configuration, origin: string, parentDomain: string): RewriteContext {
  const appendOrigin = configuration.boolean('append_at_myorigin') && origin !== '';
  const appendParent = configuration.boolean('append_dot_mydomain') && parentDomain !== '';
  return {
    origin: appendOrigin ? origin : undefined,
    parentDomain: appendParent ? parentDomain : undefined,
    swapBangpath: configuration.boolean('swap_bangpath'),
    allowPercentHack: configuration.boolean('allow_percent_hack'),
  };
}

function routeSettings(configuration: Configuration, prefix: string): RouteSettings {
  const text = (name: (typeof ROUTE_PARAMETERS)[number]): string => configuration.text(prefix + name);
  return {
    localTransport: parseRoute(text('local_transport')),
    virtualTransport: parseRoute(text('virtual_transport')),
    relayTransport: parseRoute(text('relay_transport')),
    defaultTransport: parseRoute(text('default_transport')),
    relayhost: text('relayhost'),
    senderDependentRelayhostMaps: text('sender_dependent_relayhost_maps'),
    senderDependentDefaultTransportMaps: text('sender_dependent_default_transport_maps'),
    transportMaps: text('transport_maps'),
  };
}
