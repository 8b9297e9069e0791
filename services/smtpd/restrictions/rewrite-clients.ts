/**
 * local_header_rewrite_clients (postconf(5)): clients whose mail is completed as if it originated here, by
 * permit_inet_interfaces, permit_mynetworks, permit_sasl_authenticated, permit_tls_clientcerts,
 * permit_tls_all_clientcerts, and `check_address_map type:table` or `type:table` over client addresses.
 */
import type { LookupResult } from '../../../lib/tables/table.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { splitOutsideBraces } from '../../../lib/util/split.ts';
import { certificateRestrictions } from './certificates.ts';
import type { Check, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { evaluate } from './evaluate.ts';
import { genericRestrictions } from './generic.ts';
import type { Subject } from './subject.ts';
import { isRefusal, type MaybePromise, refuse, serverError, type Verdict } from './verdict.ts';

const KNOWN: RestrictionTable = {
  permit_inet_interfaces: genericRestrictions.permit_inet_interfaces!,
  permit_mynetworks: genericRestrictions.permit_mynetworks!,
  permit_sasl_authenticated: genericRestrictions.permit_sasl_authenticated!,
  ...certificateRestrictions,
};

/** Sets the context; a list that cannot be asked gives the reply that defers the client. */
export type RewriteContext = (subject: Subject) => MaybePromise<string | undefined>;

export async function rewriteClients(environment: RestrictionEnvironment): Promise<RewriteContext> {
  const checks: Check[] = [];
  const words = splitOutsideBraces(environment.configuration.text('local_header_rewrite_clients'));
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (Object.hasOwn(KNOWN, word)) checks.push(await KNOWN[word]!.make(environment, 'client', ''));
    else if (word === 'check_address_map') continue;
    else if (word.includes(':')) checks.push(await addressMap(environment, word));
    else {
      checks.push((subject) => {
        environment.log.warning(`parameter local_header_rewrite_clients: invalid request: ${word}`);
        return serverError(environment, subject);
      });
    }
  }
  const settle = (subject: Subject, verdict: Verdict): string | undefined => {
    subject.rewriteContext = verdict === 'permit' ? 'local' : 'remote';
    return isRefusal(verdict) ? verdict.reply : undefined;
  };
  return (subject) => {
    const verdict = evaluate(checks, subject);
    return verdict instanceof Promise ? verdict.then((outcome) => settle(subject, outcome)) : settle(subject, verdict);
  };
}

async function addressMap(environment: RestrictionEnvironment, spec: string): Promise<Check> {
  const table = await environment.openTable(spec);
  const judge = (found: LookupResult): Verdict => (found === undefined ? 'dunno' : 'permit');
  return (subject) => {
    const { address } = subject.peer;
    const failed = (error: unknown): Verdict => {
      if (!(error instanceof TableError)) throw error;
      environment.log.warning(`${spec} lookup error for "${address}"`);
      return refuse(environment, subject, 451, '4.3.0', 'Temporary lookup error');
    };
    try {
      const found = table.lookup(address);
      return found instanceof Promise ? found.then(judge, failed) : judge(found);
    } catch (error) {
      return failed(error);
    }
  };
}
