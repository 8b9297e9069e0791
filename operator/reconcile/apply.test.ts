import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Child } from '../plan/input.ts';
import type { KubeObject } from '../runtime/kinds.ts';
import { Applier, marked, says } from './apply.ts';

const pairs: readonly [situation: string, live: unknown, wanted: unknown, expected: boolean][] = [
  ['the same', { a: 1, b: ['x'] }, { a: 1, b: ['x'] }, true],
  ['more than was asked for', { a: 1, defaulted: true, b: { c: 2, d: 3 } }, { a: 1, b: { c: 2 } }, true],
  ['another value', { a: 2 }, { a: 1 }, false],
  ['a value that is missing', {}, { a: 1 }, false],
  ['a longer list', { a: ['x', 'y'] }, { a: ['x'] }, false],
  ['a list in another order', { a: ['y', 'x'] }, { a: ['x', 'y'] }, false],
  ['items with defaults', { a: [{ n: 1, protocol: 'TCP' }] }, { a: [{ n: 1 }] }, true],
  ['an empty object that is left out', {}, { emptyDir: {} }, true],
  ['a field that we leave open', { a: 1 }, { a: 1, b: undefined }, true],
];
for (const [situation, live, wanted, expected] of pairs) {
  test(`${situation}: ${expected ? 'says it' : 'does not say it'}`, () => assert.equal(says(live, wanted), expected));
}

const CHILD: Child = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'n', labels: {} },
  spec: { cpu: '1000m' },
};

/** An API server that writes quantities in its own way and counts generations. */
function fakeServer(): { applier: Applier; writes: () => number; edit(change: object): void; remove(): void } {
  let live: KubeObject | undefined;
  let generation = 0;
  let writes = 0;
  const store = (object: KubeObject): KubeObject => {
    generation += 1;
    live = {
      ...object,
      spec: { ...(object.spec as object), cpu: '1' },
      metadata: { ...object.metadata, uid: 'u', generation, resourceVersion: String(generation) },
    };
    return live;
  };
  const applier = new Applier({
    client: {
      apply: async (child: Child) => {
        writes += 1;
        return store(child as unknown as KubeObject);
      },
    },
    cluster: { child: () => live, remember: () => undefined },
    log: { debug: () => undefined },
  } as never);
  return {
    applier,
    writes: () => writes,
    edit: (change) => void store({ ...live!, ...change }),
    remove: () => {
      live = undefined;
    },
  };
}

test('a child is applied once, although the server writes it in another form', async () => {
  const { applier, writes } = fakeServer();
  assert.equal(await applier.apply(CHILD), true);
  assert.equal(await applier.apply(CHILD), false);
  assert.equal(writes(), 1);
});

test('a child that somebody has changed or deleted is applied again', async () => {
  const { applier, writes, edit, remove } = fakeServer();
  await applier.apply(CHILD);
  edit({ spec: { cpu: '7' } });
  assert.equal(await applier.apply(CHILD), true);
  remove();
  assert.equal(await applier.apply(CHILD), true);
  assert.equal(writes(), 3);
});

test('a child of another plan is applied again', async () => {
  const { applier } = fakeServer();
  await applier.apply(CHILD);
  assert.equal(await applier.apply({ ...CHILD, spec: { cpu: '2' } }), true);
});

test('the hash of a plan does not depend on the order of its fields', () => {
  const turned = {
    spec: { cpu: '1000m' },
    metadata: { labels: {}, namespace: 'n', name: 'd' },
    kind: 'Deployment',
    apiVersion: 'apps/v1',
  };
  assert.deepEqual(marked(turned).metadata.annotations, marked(CHILD).metadata.annotations);
});
