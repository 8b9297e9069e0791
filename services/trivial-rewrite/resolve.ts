/**
 * Resolving of addresses (trivial-rewrite(8), ADDRESS_CLASS_README): which transport takes a recipient to which nexthop,
 * under which address, and what class of address it is.
 *
 * A local domain at the end of an address is taken off as long as what is left names another one (`user@other@here`,
 * `user%other@here`), so that a route hidden in a localpart is seen. With resolve_dequoted_address that holds inside of
 * quotes too: safe rather than correct.
 *
 * Never rejects for what an address or a table does: that is a flag. Logs temporary failures, and domains that are listed
 * in two classes.
 */
import { isIPv4 } from 'node:net';
import type { ResolveReply, ResolveRequest } from '../../lib/clients/protocols.ts';
import { isMailDomain } from '../../lib/mail/mail-domain.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import { internalize, scan, type Token } from '../../lib/mail/tok822.ts';
import { findAddress } from '../../lib/tables/address-lookup.ts';
import { localSite } from '../../lib/tables/local-site.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import type { DomainList } from '../../lib/tables/match-list.ts';
import { TableError } from '../../lib/tables/table.ts';
import type { RouteTables, TrivialRewriteContext } from './context.ts';
import { domainSeparator, rewriteTokens, stripTrailingDot } from './rewrite.ts';
import { lookupTransport, parseRoute, type Route } from './transport.ts';

/** What stands in the fields that were not found out. Other services look at the flags, not at these. */
const UNKNOWN_ROUTE: Route = { transport: 'CHANNEL NOT UPDATED', nexthop: 'NEXTHOP NOT UPDATED' };

/** An address with its local domains taken off. */
interface Destination {
  readonly kind: 'local' | 'remote' | 'invalid';
  readonly localpart: string;
  readonly domain: string;
}

/** A route and the flags of the address class. */
interface ClassRoute extends Route {
  readonly flags: number;
}

/** Resolves one address. */
export async function resolveAddress(context: TrivialRewriteContext, request: ResolveRequest): Promise<ResolveReply> {
  const tables = request.kind === 'verify' ? context.verify : context.resolve;
  let recipient = request.address;
  let known: ClassRoute = { ...UNKNOWN_ROUTE, flags: 0 };
  try {
    const destination = await findDestination(context, request.address);
    recipient = `${destination.localpart}@${destination.domain}`;
    if (destination.kind === 'invalid') {
      const flags = ResolveFlag.ERROR | ResolveFlag.CLASS_DEFAULT;
      return { ...UNKNOWN_ROUTE, recipient, flags };
    }
    known = await classRoute(context, tables, destination, request.sender);
    known = { ...known, flags: known.flags | addressFlags(context, destination.localpart) };
    const route = await tableRoute(context, tables, recipient, known);
    return { transport: route.transport, nexthop: route.nexthop, recipient, flags: known.flags };
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return { transport: known.transport, nexthop: known.nexthop, recipient, flags: known.flags | ResolveFlag.FAIL };
  }
}

/** Takes local domains off until the address is remote or nothing is left to take off. */
async function findDestination(context: TrivialRewriteContext, address: string): Promise<Destination> {
  const { settings } = context;
  const rewriting = { ...settings.local, origin: undefined };
  let tokens: readonly Token[] = scan(quote822Local(address));
  let taken: string | undefined;
  // An address that came with a domain was completed by its client's context; what is found inside of it was not.
  if (domainSeparator(tokens) < 0) tokens = rewriteTokens(rewriting, tokens);
  for (;;) {
    tokens = stripTrailingDot(tokens);
    const at = domainSeparator(tokens);
    let localpart = tokens;
    if (at >= 0) {
      const domain = bracketed(context, internalize(tokens.slice(at + 1)));
      localpart = tokens.slice(0, at);
      if (domain !== '' && !(await context.localDomains.matches(domain))) {
        return { kind: isMailDomain(domain) ? 'remote' : 'invalid', localpart: internalize(localpart), domain };
      }
      taken = domain;
    }
    tokens = settings.resolveDequotedAddress ? dequote(context, localpart) : localpart;
    if (at < 0 && tokens === localpart) break;
    tokens = rewriteTokens(rewriting, tokens);
  }
  const localpart = internalize(tokens) || settings.emptyAddressRecipient;
  // The null domain of `user@` is an error, unless it stands for this host. No domain at all is this host.
  if (taken === '' && !settings.resolveNullDomain) return { kind: 'invalid', localpart, domain: '' };
  return { kind: 'local', localpart, domain: taken || settings.myhostname };
}

/** resolve_numeric_domain: `user@192.0.2.1` is `user@[192.0.2.1]`. */
function bracketed(context: TrivialRewriteContext, domain: string): string {
  return context.settings.resolveNumericDomain && isIPv4(domain) ? `[${domain}]` : domain;
}

/** A localpart that is one quoted string with a route in it: the tokens of that route. */
function dequote(context: TrivialRewriteContext, localpart: readonly Token[]): readonly Token[] {
  const { swapBangpath, allowPercentHack } = context.settings.local;
  const [only] = localpart;
  if (localpart.length !== 1 || only?.type !== 'quoted-string') return localpart;
  const { text } = only;
  if (text.includes('@')) return scan(quote822Local(text));
  const percent = allowPercentHack ? text.lastIndexOf('%') : -1;
  if (percent >= 0) return scan(quote822Local(`${text.slice(0, percent)}@${text.slice(percent + 1)}`));
  return swapBangpath && text.includes('!') ? scan(text) : localpart;
}

function addressFlags(context: TrivialRewriteContext, localpart: string): number {
  let flags = /[@%!]/.test(localpart) ? ResolveFlag.ROUTED : 0;
  if (localpart.startsWith('-') && !context.settings.allowMinUser) flags |= ResolveFlag.ERROR;
  return flags;
}

/** The route by the class of the domain. */
async function classRoute(
  context: TrivialRewriteContext,
  tables: RouteTables,
  { kind, domain }: Destination,
  sender: string,
): Promise<ClassRoute> {
  const { settings } = tables;
  if (kind === 'local') {
    await warnIfListedTwice(context, domain, 'mydestination', [
      context.virtualAliasDomains,
      context.virtualMailboxDomains,
    ]);
    return { ...withNexthop(settings.localTransport, domain), flags: ResolveFlag.CLASS_LOCAL };
  }
  if (await matches(context, context.virtualAliasDomains, domain)) {
    await warnIfListedTwice(context, domain, 'virtual_alias_domains', [
      context.virtualMailboxDomains,
      context.relayDomains,
    ]);
    const where = context.settings.showUserUnknownTableName ? ' in virtual alias table' : '';
    return { transport: 'error', nexthop: `5.1.1 User unknown${where}`, flags: ResolveFlag.CLASS_ALIAS };
  }
  if (await matches(context, context.virtualMailboxDomains, domain)) {
    await warnIfListedTwice(context, domain, 'virtual_mailbox_domains', [context.relayDomains]);
    return { ...withNexthop(settings.virtualTransport, domain), flags: ResolveFlag.CLASS_VIRTUAL };
  }
  if (await matches(context, context.relayDomains, domain)) {
    const nexthop = settings.relayTransport.nexthop || (await relayhost(context, tables, sender)) || domain;
    return { transport: settings.relayTransport.transport, nexthop, flags: ResolveFlag.CLASS_RELAY };
  }
  const chosen = await senderDependentTransport(context, tables, sender);
  const nexthop = chosen.nexthop || (await relayhost(context, tables, sender)) || domain;
  return { transport: chosen.transport, nexthop, flags: ResolveFlag.CLASS_DEFAULT };
}

function withNexthop(route: Route, domain: string): Route {
  return route.nexthop === '' ? { transport: route.transport, nexthop: domain } : route;
}

async function senderDependentTransport(
  context: TrivialRewriteContext,
  tables: RouteTables,
  sender: string,
): Promise<Route> {
  const key = sender || context.settings.emptyAddressDefaultTransportKey;
  const value = await senderDependent(context, tables.senderDependentDefaultTransport, sender, key);
  if (value === undefined) return tables.settings.defaultTransport;
  const chosen = parseRoute(value);
  return chosen.transport === '' ? { ...tables.settings.defaultTransport, nexthop: chosen.nexthop } : chosen;
}

async function relayhost(context: TrivialRewriteContext, tables: RouteTables, sender: string): Promise<string> {
  const key = sender || context.settings.emptyAddressRelayhostKey;
  const value = await senderDependent(context, tables.senderDependentRelayhost, sender, key);
  return value ?? tables.settings.relayhost;
}

/** What a table says of a sender; `DUNNO` says nothing, and says it for all that would come after. */
async function senderDependent(
  context: TrivialRewriteContext,
  maps: Maps,
  sender: string,
  key: string,
): Promise<string | undefined> {
  if (maps.isEmpty) return undefined;
  const value = await guarded(context, maps.parameter, async () =>
    sender === '' ? await maps.lookup(key) : (await findAddress(maps, sender, addressLookup(context)))?.value,
  );
  return value?.toUpperCase() === 'DUNNO' ? undefined : value;
}

/** The route after relocated_maps and transport_maps. A virtual alias domain has no mailboxes to carry mail to. */
async function tableRoute(
  context: TrivialRewriteContext,
  tables: RouteTables,
  recipient: string,
  route: ClassRoute,
): Promise<Route> {
  if (!context.relocated.isEmpty) {
    const moved = await guarded(context, 'relocated_maps', async () =>
      findAddress(context.relocated, recipient, addressLookup(context)),
    );
    if (moved !== undefined) return { transport: 'error', nexthop: movedText(context, moved.value) };
  }
  if (tables.transport.isEmpty || (route.flags & ResolveFlag.CLASS_ALIAS) !== 0) return route;
  const { recipientDelimiter, parentDomainLists } = context.settings;
  const chosen = await guarded(context, tables.transport.parameter, () =>
    lookupTransport(tables.transport, recipient, route, {
      recipientDelimiter,
      parentDomains: parentDomainLists.has('transport_maps'),
    }),
  );
  return chosen ?? route;
}

function movedText(context: TrivialRewriteContext, where: string): string {
  return context.settings.relocatedPrefixEnable ? `5.1.6 User has moved to ${where}` : where;
}

function addressLookup(context: TrivialRewriteContext) {
  return {
    recipientDelimiter: context.settings.recipientDelimiter,
    isLocalDomain: localSite(context.settings.myorigin, context.localDomains),
  };
}

async function matches(context: TrivialRewriteContext, list: DomainList, domain: string): Promise<boolean> {
  return guarded(context, list.parameter, async () => list.matches(domain));
}

/** Logs which parameter could not be looked up, and lets the failure pass. */
async function guarded<T>(context: TrivialRewriteContext, parameter: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TableError) context.warn(`${parameter} lookup failure`);
    throw error;
  }
}

/** A domain has one class; the first that is asked wins, which is seldom what was meant. */
async function warnIfListedTwice(
  context: TrivialRewriteContext,
  domain: string,
  parameter: string,
  others: readonly DomainList[],
): Promise<void> {
  for (const other of others) {
    if (other.isEmpty || !(await isKnownToMatch(other, domain))) continue;
    context.warn(`do not list domain ${domain} in BOTH ${parameter} and ${other.parameter}`);
  }
}

/** A table that fails is no reason to fail an address whose class is known already. */
async function isKnownToMatch(list: DomainList, domain: string): Promise<boolean> {
  try {
    return await list.matches(domain);
  } catch (error) {
    if (error instanceof TableError) return false;
    throw error;
  }
}
