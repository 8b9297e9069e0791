/** The operator's log, searched after each scenario for what nobody expected. */
import assert from 'node:assert/strict';
import type { Kubectl } from './kubectl.ts';
import { PodLogs } from './pod-logs.ts';

const SELECTOR = 'app.kubernetes.io/name=postfleet-operator';
const UNEXPECTED = /\b(?:error|fatal|panic):/;

function assertExpected(lines: readonly string[], expected: readonly RegExp[]): void {
  const unexpected = lines.filter((line) => UNEXPECTED.test(line) && !expected.some((pattern) => pattern.test(line)));
  assert.deepEqual([...new Set(unexpected)], [], 'the operator logged errors');
}

/** What the operators that are there have logged, and containers of theirs that ended before. */
async function present(operator: Kubectl): Promise<string[]> {
  const pods = await operator.pods(SELECTOR);
  const logs = await Promise.all(
    pods.flatMap(({ name }) => [
      operator.run(['logs', name, '--tail', '-1']),
      // There is one only where the container was started again.
      operator.run(['logs', name, '--tail', '-1', '--previous']).catch(() => ''),
    ]),
  );
  return logs.flatMap((log) => log.split('\n'));
}

/** Fails where the log of an operator that is there has errors that `expected` does not match. */
export async function assertQuietOperator(operator: Kubectl, expected: readonly RegExp[] = []): Promise<void> {
  assertExpected(await present(operator), expected);
}

/** The logs of a scenario in which operators are deleted, scaled away or replaced: of these as well, from its construction on. */
export class OperatorLogs implements AsyncDisposable {
  readonly #operator: Kubectl;
  readonly #logs: PodLogs;
  readonly #lines: string[] = [];
  readonly #pods = new Set<string>();

  constructor(operator: Kubectl) {
    this.#operator = operator;
    this.#logs = new PodLogs(operator, SELECTOR, (pod, line) => {
      this.#pods.add(pod);
      this.#lines.push(line);
    });
  }

  /** Fails where one has logged errors that `expected` does not match, or fewer than so many operators were there. */
  async assertQuiet(operators: number, expected: readonly RegExp[] = []): Promise<void> {
    assertExpected([...this.#lines, ...(await present(this.#operator))], expected);
    assert.ok(
      this.#pods.size >= operators,
      `the logs of ${[...this.#pods].join(' ')} are not of ${operators} operators`,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#logs[Symbol.asyncDispose]();
  }
}
