import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrame, encodeFence, encodeFrame } from './frame.ts';

const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const pieces = fc.array(octets, { maxLength: 3 });
const entries = fc.array(fc.record({ envelope: octets, content: pieces }), { maxLength: 8 });

test('what goes into a frame comes out of it', () => {
  fc.assert(
    fc.property(entries, fc.nat(0xffffffff), fc.nat(0xffffffff), (run, writer, counter) => {
      const { bytes, id } = encodeFrame(run, writer, counter);
      const decoded = decodeFrame(bytes);
      assert.equal(decoded.kind, 'frame');
      if (decoded.kind !== 'frame') return;
      assert.equal(decoded.frame.id, id);
      assert.equal(decoded.frame.fence, false);
      assert.deepEqual(
        decoded.frame.entries.map((entry) => [entry.envelope.toString('hex'), entry.content.toString('hex')]),
        run.map((entry) => [entry.envelope.toString('hex'), Buffer.concat(entry.content).toString('hex')]),
      );
    }),
  );
});

test('one changed octet anywhere, or a cut, is never taken for a good frame', () => {
  const { bytes } = encodeFrame([{ envelope: Buffer.from('envelope'), content: [Buffer.from('content')] }], 1, 2);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(bytes);
      changed[at]! ^= flip;
      assert.notEqual(decodeFrame(changed).kind, 'frame');
    }),
  );
  for (let length = 0; length < bytes.length; length++)
    assert.equal(decodeFrame(bytes.subarray(0, length)).kind, 'damaged');
});

test('arbitrary octets are damage or another version, never an exception', () => {
  fc.assert(fc.property(octets, (bytes) => assert.notEqual(decodeFrame(bytes).kind, 'frame')));
});

test('a frame of a later version is told apart from damage', () => {
  const { bytes } = encodeFrame([], 1, 2);
  bytes[2] = 9;
  assert.deepEqual(decodeFrame(bytes), { kind: 'later-version', version: 9 });
});

test('a fence holds no entries and says that it is one', () => {
  const decoded = decodeFrame(encodeFence(7, 8).bytes);
  assert.equal(decoded.kind === 'frame' && decoded.frame.fence && decoded.frame.entries.length === 0, true);
});
