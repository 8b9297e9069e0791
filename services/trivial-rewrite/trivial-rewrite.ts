/**
 * The two requests of trivial-rewrite(8), batch in and batch out, with a memory of what cannot have changed.
 *
 * Where the lists of domains hold nothing but names, and no table decides by sender or by recipient, the route of a
 * domain is the same for every plain address in it: it is kept, bounded, and answered without asking again.
 */
import type { ResolveReply, ResolveRequest, RewriteRequest, TrivialRewrite } from '../../lib/clients/protocols.ts';
import { isComplete } from '../../lib/mail/complete-address.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import type { RouteTables, TrivialRewriteContext } from './context.ts';
import { resolveAddress } from './resolve.ts';
import { rewriteAddress, rewriteExternal } from './rewrite.ts';

/** Domains whose route is kept, for each kind of request; the oldest go first. */
const ROUTES = 10_000;

type DomainRoute = Omit<ResolveReply, 'recipient'>;

export function createTrivialRewrite(context: TrivialRewriteContext): TrivialRewrite {
  const deliveryRoutes = new Map<string, DomainRoute>();
  const probeRoutes = new Map<string, DomainRoute>();
  const keepsDelivery = isFixed(context, context.resolve);
  const keepsProbes = isFixed(context, context.verify);

  const resolveOne = (request: ResolveRequest): ResolveReply | Promise<ResolveReply> => {
    const probe = request.kind === 'verify';
    if (!(probe ? keepsProbes : keepsDelivery) || !isComplete(request.address)) return resolveAddress(context, request);
    const routes = probe ? probeRoutes : deliveryRoutes;
    const domain = request.address.slice(request.address.lastIndexOf('@') + 1);
    const route = routes.get(domain);
    if (route === undefined || hasSpecialLocalpart(request.address)) return resolveAndKeep(request, routes, domain);
    const { transport, nexthop, flags } = route;
    return { transport, nexthop, recipient: request.address, flags };
  };

  const resolveAndKeep = async (
    request: ResolveRequest,
    routes: Map<string, DomainRoute>,
    domain: string,
  ): Promise<ResolveReply> => {
    const reply = await resolveAddress(context, request);
    const { transport, nexthop, flags } = reply;
    // Only what the class of the domain alone decides; the recipient went in and came out the same.
    const plain = (flags & (ResolveFlag.ERROR | ResolveFlag.FAIL | ResolveFlag.ROUTED)) === 0;
    if (plain && reply.recipient === request.address) remember(routes, domain, { transport, nexthop, flags });
    return reply;
  };

  return {
    rewrite(requests: RewriteRequest[]): Promise<string[]> {
      return Promise.resolve(
        requests.map(({ rule, address, external }) => {
          const rewriting = rule === 'remote' ? context.settings.remote : context.settings.local;
          return external ? rewriteExternal(rewriting, address) : rewriteAddress(rewriting, address);
        }),
      );
    },
    async resolve(requests: ResolveRequest[]): Promise<ResolveReply[]> {
      const replies: ResolveReply[] = [];
      for (const request of requests) {
        const reply = resolveOne(request);
        replies.push(reply instanceof Promise ? await reply : reply);
      }
      return replies;
    },
  };
}

/** Does the domain alone decide? */
function isFixed(context: TrivialRewriteContext, tables: RouteTables): boolean {
  return (
    context.fixedDomains &&
    context.relocated.isEmpty &&
    tables.transport.isEmpty &&
    tables.senderDependentRelayhost.isEmpty &&
    tables.senderDependentDefaultTransport.isEmpty
  );
}

/** `-user` is refused, whatever the domain. */
function hasSpecialLocalpart(address: string): boolean {
  return address.startsWith('-');
}

function remember(routes: Map<string, DomainRoute>, domain: string, route: DomainRoute): void {
  if (routes.size >= ROUTES) {
    const oldest = routes.keys().next();
    if (oldest.done === false) routes.delete(oldest.value);
  }
  routes.set(domain, route);
}
