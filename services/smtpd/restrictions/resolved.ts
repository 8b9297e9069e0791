/** What restrictions ask trivial-rewrite(8) about an address of the envelope before they judge it. */
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import { after } from '../../../lib/util/maybe-promise.ts';
import type { RestrictionEnvironment } from './environment.ts';
import type { Subject } from './subject.ts';
import { type MaybePromise, temporaryFailure, type Verdict } from './verdict.ts';

/** The address, and the sender whose routes count for it: none of them for what is a sender itself. */
export interface Resolvable {
  readonly address: string;
  readonly sender: string;
}

/** Resolves an address and hands what it is to `judge`; one that cannot be resolved at present is deferred. */
export function resolved<T>(
  environment: RestrictionEnvironment,
  subject: Subject,
  { address, sender }: Resolvable,
  judge: (reply: ResolveReply) => MaybePromise<T>,
): MaybePromise<T | Verdict> {
  const decide = (reply: ResolveReply): MaybePromise<T | Verdict> =>
    (reply.flags & ResolveFlag.FAIL) !== 0 ? temporaryFailure(environment, subject, address) : judge(reply);
  return after(environment.resolve(address, sender, subject.rewriteContext), decide);
}
