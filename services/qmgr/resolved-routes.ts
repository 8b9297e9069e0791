/**
 * What trivial-rewrite(8) could not resolve has a route all the same: an address with wrong syntax goes to error(8), one
 * for which a table could not be asked to retry(8). Pure but for the call.
 */
import type { ResolveReply, TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';

/** The same client, whose replies have a route that can be taken. */
export function withRoutes(rewrite: TrivialRewrite): TrivialRewrite {
  return {
    rewrite: (requests, signal) => rewrite.rewrite(requests, signal),
    resolve: async (requests, signal) => (await rewrite.resolve(requests, signal)).map(route),
  };
}

function route(reply: ResolveReply): ResolveReply {
  if ((reply.flags & ResolveFlag.FAIL) !== 0)
    return { ...reply, transport: 'retry', nexthop: '4.3.0 address resolver failure' };
  if ((reply.flags & ResolveFlag.ERROR) !== 0)
    return { ...reply, transport: 'error', nexthop: '5.1.3 bad address syntax' };
  return reply;
}
