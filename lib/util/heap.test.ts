import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Heap } from './heap.ts';

interface Item {
  key: number;
  heapPlace: number;
}

test('the smallest item is first, whatever was put, changed and taken out', () => {
  const step = fc.record({
    what: fc.constantFrom('put', 'put', 'change', 'delete', 'pop'),
    at: fc.nat(20),
    key: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Heap<Item>((a, b) => a.key < b.key);
      const items = Array.from({ length: 21 }, (_, key): Item => ({ key, heapPlace: -1 }));
      const inside = new Set<Item>();
      for (const { what, at, key } of steps) {
        const item = items[at]!;
        if (what === 'put' || (what === 'change' && inside.has(item))) {
          item.key = key;
          heap.put(item);
          inside.add(item);
        } else if (what === 'delete') {
          heap.delete(item);
          inside.delete(item);
        } else if (what === 'pop' && heap.first !== undefined) {
          inside.delete(heap.first);
          heap.delete(heap.first);
        }
        assert.equal(heap.size, inside.size);
        assert.equal(heap.first?.key, inside.size === 0 ? undefined : Math.min(...[...inside].map((one) => one.key)));
      }
    }),
  );
});
