import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { decodeXtext, encodeXtext } from './xtext.ts';

test('plus and two hexadecimal digits stand for a byte', () => {
  assert.equal(decodeXtext('a+2Bb+3D'), 'a+b=');
  assert.equal(decodeXtext('+C3+A4'), 'ä');
  assert.equal(encodeXtext('a+b= ä'), 'a+2Bb+3D+20+C3+A4');
});

test('anything else behind a plus is a mistake', () => {
  for (const text of ['+', '+2', '+zz', 'a+2']) assert.equal(decodeXtext(text), undefined, text);
});

test('any text comes back', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(decodeXtext(encodeXtext(text)), text)));
});
