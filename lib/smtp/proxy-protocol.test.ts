import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readProxyHeader } from './proxy-protocol.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

function version2(command: number, family: number, data: Buffer): Buffer {
  const head = Buffer.from([0x20 | command, family, data.length >> 8, data.length & 255]);
  return Buffer.concat([SIGNATURE, head, data]);
}

const IPV6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('00000000000000000000ffffc0000201', 'hex'),
  Buffer.from([0x30, 0x39, 0, 25]),
]);

test('version 2 names IPv6 clients, and mapped addresses are IPv4', () => {
  const header = readProxyHeader(Buffer.concat([version2(1, 0x21, IPV6), Buffer.from('EHLO')]));
  assert.deepEqual(header, {
    kind: 'addresses',
    consumed: 52,
    addresses: { clientAddress: '2001:db8::1', clientPort: 12345, serverAddress: '192.0.2.1', serverPort: 25 },
  });
});

test('a header that names nobody leaves the connection as it is', () => {
  assert.deepEqual(readProxyHeader(version2(0, 0, Buffer.alloc(0))), { kind: 'local', consumed: 16 });
  assert.deepEqual(readProxyHeader(Buffer.from('PROXY UNKNOWN\r\n')), { kind: 'local', consumed: 15 });
});

test('headers that are too long, of another version or family are mistakes', () => {
  for (const bytes of [
    version2(1, 0x21, Buffer.alloc(4000)),
    version2(5, 0x11, Buffer.alloc(12)),
    version2(1, 0x31, Buffer.alloc(12)),
    version2(1, 0x11, Buffer.alloc(4)),
    Buffer.concat([SIGNATURE, Buffer.from([0x11, 0x11, 0, 0])]),
    Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`),
    Buffer.from('EHLO x\r\n'),
  ]) {
    assert.equal(readProxyHeader(bytes).kind, 'error');
  }
});

test('every start of a header asks for more, and any bytes give an answer', () => {
  for (const whole of [version2(1, 0x21, IPV6), Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')]) {
    for (let end = 0; end < whole.length; end++) {
      assert.equal(readProxyHeader(whole.subarray(0, end)).kind, 'more', `first ${end} bytes`);
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readProxyHeader(Buffer.from(bytes));
      readProxyHeader(Buffer.concat([SIGNATURE, bytes]));
    }),
  );
});
