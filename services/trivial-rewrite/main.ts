/**
 * trivial-rewrite(8): rewrites addresses to standard form and resolves them to transport, nexthop, recipient and class.
 *
 * Requests (proto/postfleet/v1/rewrite.proto), each a batch whose replies stand in the order of the requests:
 *   rewrite local|remote address    complete an address with the domain of the context
 *   resolve sender address          how to deliver to it
 *   verify sender address           how to probe it (address_verify_…)
 *
 * Side effects: none beyond table look-ups; may run anywhere, in any number.
 * Diagnostics: failing tables, and domains that are listed in two classes, are logged.
 * Limits: source routes are dropped, never followed.
 * See ADDRESS_REWRITING_README, ADDRESS_CLASS_README, transport(5), relocated(5).
 */
import { rpcServer } from '../../lib/server/rpc-server.ts';
import { tableContext } from '../../lib/server/table-context.ts';
import { openContext } from './context.ts';
import { trivialRewriteParameters } from './settings.ts';
import { createTrivialRewrite } from './trivial-rewrite.ts';

export const service = rpcServer({
  name: 'trivial-rewrite',
  parameters: trivialRewriteParameters,
  async open(context) {
    const rewriting = await openContext(context.configuration, tableContext(context));
    return {
      rewrite: createTrivialRewrite(rewriting),
      [Symbol.asyncDispose]: () => rewriting[Symbol.asyncDispose](),
    };
  },
});
