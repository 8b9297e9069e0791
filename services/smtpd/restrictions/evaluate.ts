/** Runs a list of restrictions: the first that permits or refuses decides. No promise is made where none is needed. */
import type { Check } from './environment.ts';
import type { Subject } from './subject.ts';
import type { MaybePromise, Verdict } from './verdict.ts';

export function evaluate(checks: readonly Check[], subject: Subject, from = 0): MaybePromise<Verdict> {
  for (let at = from; at < checks.length; at++) {
    if (isSettled(subject)) return 'dunno';
    const verdict = checks[at]!(subject);
    if (verdict instanceof Promise) {
      return verdict.then((outcome) => (outcome === 'dunno' ? evaluate(checks, subject, at + 1) : outcome));
    }
    if (verdict !== 'dunno') return verdict;
  }
  return 'dunno';
}

/** Mail that is thrown away (access(5), DISCARD), or that is deferred whatever the outcome, is judged no further. */
function isSettled({ actions, deferIfPermit, deferIfReject }: Subject): boolean {
  return actions.discard || (deferIfPermit !== undefined && deferIfReject !== undefined);
}
