/**
 * Would a MailServer relay for strangers because their addresses are lost? Where a Service has the external traffic policy
 * Cluster, the node that takes a connection puts its own address in place of the client's; unless the PROXY protocol
 * brings the client's, smtpd sees a node, and a mynetworks that holds nodes or pods lets the whole Internet relay. Pure.
 */
import { inNetwork, parseAddress, parseCidr } from '../util/ip-address.ts';
import { COMMA_OR_BLANK, splitOutsideBraces } from '../util/split.ts';

export interface Exposure {
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  readonly trafficPolicy: 'Local' | 'Cluster';
  readonly proxyProtocol: boolean;
  /** mynetworks, expanded. */
  readonly mynetworks: string;
  /** Does a restriction of an inet smtpd let clients in mynetworks relay? */
  readonly permitsMynetworks: boolean;
  /** Addresses and networks of nodes and pods. */
  readonly clusterNetworks: readonly string[];
}

export type RelayVerdict =
  | { readonly verdict: 'safe' }
  /** mynetworks cannot be compared: it names tables or files. */
  | { readonly verdict: 'unknown'; readonly pattern: string }
  | { readonly verdict: 'open'; readonly pattern: string; readonly network: string };

/** Do two networks share an address? */
function overlap(a: string, b: string): boolean {
  const [first, second] = [parseCidr(a), parseCidr(b)];
  if ('error' in first || 'error' in second) return false;
  const [wide, narrow] = first.length <= second.length ? [first, second] : [second, first];
  return inNetwork(narrow.network, wide);
}

/** Does an exclusion that comes first hold all of the network? */
function excluded(network: string, exclusions: readonly string[]): boolean {
  const inner = parseCidr(network);
  if ('error' in inner) return false;
  return exclusions.some((text) => {
    const outer = parseCidr(text);
    return !('error' in outer) && outer.length <= inner.length && inNetwork(inner.network, outer);
  });
}

/** Only an address or a network can be compared; a name never matches an address. */
function isTable(pattern: string): boolean {
  return (
    pattern.startsWith('/') ||
    (/^[a-z0-9]+:/i.test(pattern) && parseAddress(pattern) === undefined && 'error' in parseCidr(pattern))
  );
}

export function openRelay(exposure: Exposure): RelayVerdict {
  const { type, trafficPolicy, proxyProtocol, mynetworks, permitsMynetworks, clusterNetworks } = exposure;
  if (type === 'ClusterIP' || trafficPolicy === 'Local' || proxyProtocol || !permitsMynetworks)
    return { verdict: 'safe' };
  const exclusions: string[] = [];
  let unknown: string | undefined;
  for (const item of splitOutsideBraces(mynetworks, COMMA_OR_BLANK)) {
    const pattern = item.replace(/^!+/, '');
    if (item.startsWith('!')) {
      exclusions.push(pattern);
    } else if (isTable(pattern)) {
      unknown ??= item;
    } else {
      const network = clusterNetworks.find((one) => overlap(pattern, one) && !excluded(one, exclusions));
      if (network !== undefined) return { verdict: 'open', pattern: item, network };
    }
  }
  return unknown === undefined ? { verdict: 'safe' } : { verdict: 'unknown', pattern: unknown };
}
