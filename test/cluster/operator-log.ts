/** The operator's log, searched after each scenario for what nobody expected. */
import assert from 'node:assert/strict';
import type { Kubectl } from './kubectl.ts';

const UNEXPECTED = /\b(?:error|fatal|panic):/;

/**
 * Fails where the log of an operator, or of one that ended before it, has errors that `expected` does not match.
 */
export async function assertQuietOperator(operator: Kubectl, expected: readonly RegExp[] = []): Promise<void> {
  const pods = await operator.pods('app.kubernetes.io/name=postfleet-operator');
  const logs = await Promise.all(
    pods.flatMap(({ name }) => [
      operator.run(['logs', name, '--tail', '-1']),
      // There is one only where the container was started again.
      operator.run(['logs', name, '--tail', '-1', '--previous']).catch(() => ''),
    ]),
  );
  const unexpected = logs
    .flatMap((log) => log.split('\n'))
    .filter((line) => UNEXPECTED.test(line) && !expected.some((pattern) => pattern.test(line)));
  assert.deepEqual(unexpected, [], 'the operator logged errors');
}
