/** What somebody who reads of a failed scenario wants to see next. */
import type { TestContext } from 'node:test';
import type { Kubectl } from './kubectl.ts';

const REMARKABLE = /warning|error|fatal|panic/i;
const LINES = 8;

/** Runs a scenario; where it fails, pods and remarkable log lines of the namespaces are part of the output. */
export async function withTroubles(
  t: TestContext,
  where: Kubectl | readonly Kubectl[],
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    for (const kubectl of [where].flat() as Kubectl[]) await show(t, kubectl);
    throw error;
  }
}

async function show(t: TestContext, kubectl: Kubectl): Promise<void> {
  t.diagnostic(await kubectl.run(['get', 'pods', '--output', 'wide']).catch(String));
  const events = ['get', 'events', '--field-selector', 'type=Warning', '--sort-by', '.lastTimestamp'];
  const shown = (await kubectl.run(events).catch(String)).trimEnd().split('\n').slice(-LINES);
  t.diagnostic(`events of ${kubectl.namespace}:\n${shown.join('\n')}`);
  const pods = (await kubectl.run(['get', 'pods', '--output', 'name']).catch(() => '')).split('\n').filter(Boolean);
  for (const pod of pods) {
    const log = await kubectl.run(['logs', pod, '--tail', '200']).catch(String);
    const remarkable = log.split('\n').filter((line) => REMARKABLE.test(line));
    if (remarkable.length > 0) t.diagnostic(`${pod}:\n${remarkable.slice(-LINES).join('\n')}`);
  }
}

/** One of several steps that build on each other: a failed one ends the scenario. */
export async function step(t: TestContext, name: string, run: (t: TestContext) => Promise<unknown>): Promise<void> {
  let failed = true;
  await t.test(name, async (t) => {
    await run(t);
    failed = false;
  });
  if (failed) throw new Error(`nothing more is tried: ${name}`);
}
