import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Unread, type UnreadRecipient } from './unread.ts';

const recipient = (offset: number, address: string): UnreadRecipient => ({
  offset,
  attempts: offset % 7,
  recipient: { address, originalAddress: 'o@example.com', dsnOriginalRecipient: 'rfc822;x', dsnNotify: offset % 16 },
});

test('recipients come out in the order in which they went in, whole, and leave no memory behind', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.array(fc.string(), { maxLength: 30 }), fc.nat(20)), { maxLength: 30 }),
      (steps) => {
        let octets = 0;
        const unread = new Unread((grown) => {
          octets += grown;
        });
        const expected: UnreadRecipient[] = [];
        let offset = 0;
        for (const step of steps) {
          if (typeof step === 'number') {
            assert.deepEqual(unread.take(step), expected.splice(0, step));
          } else {
            const added = step.map((address) => recipient(offset++, address));
            unread.add(added);
            expected.push(...added);
          }
          assert.equal(unread.count, expected.length);
          assert.ok(octets > 0 || expected.length === 0);
        }
        assert.deepEqual(unread.take(Number.POSITIVE_INFINITY), expected);
        assert.equal(octets, 0);
      },
    ),
  );
});

test('a hundred thousand recipients take a few megabytes, which go as they are taken', () => {
  let octets = 0;
  const unread = new Unread((grown) => {
    octets += grown;
  });
  unread.add(Array.from({ length: 100_000 }, (_, offset) => recipient(offset, `user${offset}@example.com`)));
  const all = octets;
  assert.ok(all < 10_000_000, String(all));
  assert.equal(unread.take(50_000).at(-1)?.offset, 49_999);
  assert.ok(octets < all * 0.51, String(octets));
  unread.clear();
  assert.equal(octets, 0);
  assert.deepEqual(unread.take(1), []);
});
