import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnsServer, type Zone } from '../../test/support/dns-server.ts';
import type { Answer, RecordType } from './answer.ts';
import { Resolver } from './resolver.ts';
import { parseNameServer, parseResolvConf } from './servers.ts';

const RECORDS: Zone['records'] = {
  'example.org MX': [
    { preference: 10, exchange: 'MX1.example.org.' },
    { preference: 20, exchange: 'mx2.example.org' },
  ],
  'null.example MX': [{ preference: 0, exchange: '.' }],
  'mx1.example.org A': ['192.0.2.1', '192.0.2.2'],
  'mx1.example.org AAAA': ['2001:db8::1'],
  'www.example.org CNAME': ['web.example.org'],
  'web.example.org CNAME': ['mx1.example.org'],
  'loop.example CNAME': ['loop2.example'],
  'loop2.example CNAME': ['loop.example'],
  '1.2.0.192.in-addr.arpa PTR': ['MX1.Example.Org'],
  'example.org TXT': [['v=spf1 ', '-all'], 'other'],
  '_25._tcp.mx1.example.org TLSA': [{ usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('abcd') }],
};

async function ask<T extends RecordType>(zone: Partial<Zone>, name: string, type: T): Promise<Answer<T>> {
  await using server = await dnsServer({ records: RECORDS, ...zone });
  return await new Resolver({ servers: [server.address], timeout: 500, attempts: 1 }).query(name, type);
}

test('records of each type come as values', async () => {
  const cases: [string, RecordType, unknown[]][] = [
    [
      'example.org',
      'MX',
      [
        { preference: 10, exchange: 'mx1.example.org' },
        { preference: 20, exchange: 'mx2.example.org' },
      ],
    ],
    ['null.example', 'MX', [{ preference: 0, exchange: '' }]],
    ['MX1.example.org.', 'A', ['192.0.2.1', '192.0.2.2']],
    ['mx1.example.org', 'AAAA', ['2001:db8::1']],
    ['www.example.org', 'A', ['192.0.2.1', '192.0.2.2']],
    ['www.example.org', 'CNAME', ['web.example.org']],
    ['1.2.0.192.in-addr.arpa', 'PTR', ['mx1.example.org']],
    ['example.org', 'TXT', ['v=spf1 -all', 'other']],
    [
      '_25._tcp.mx1.example.org',
      'TLSA',
      [{ usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('abcd') }],
    ],
  ];
  for (const [name, type, records] of cases) {
    const answer = await ask({}, name, type);
    assert.equal(answer.status, 'found', `${name} ${type}`);
    assert.deepEqual(answer.records, records, `${name} ${type}`);
  }
});

test('an alias leads to the canonical name', async () => {
  assert.equal((await ask({}, 'www.example.org', 'A')).canonicalName, 'mx1.example.org');
});

test('what has no answer says why', async () => {
  const cases: [string, RecordType, Partial<Zone>, string][] = [
    ['nowhere.example', 'MX', {}, 'not-found'],
    ['mx1.example.org', 'MX', {}, 'no-data'],
    ['loop.example', 'A', {}, 'retry'],
    ['bad.example', 'A', { trouble: { 'bad.example': 'SERVFAIL' } }, 'retry'],
    ['mute.example', 'A', { trouble: { 'mute.example': 'silence' } }, 'retry'],
    ['two..dots', 'A', {}, 'invalid'],
    ['', 'A', {}, 'invalid'],
    [`${'x'.repeat(64)}.example`, 'A', {}, 'invalid'],
  ];
  for (const [name, type, zone, status] of cases) assert.equal((await ask(zone, name, type)).status, status, name);
});

test('the AD bit is handed on', async () => {
  assert.equal((await ask({}, 'mx1.example.org', 'A')).authentic, false);
  assert.equal((await ask({ authentic: true }, 'mx1.example.org', 'A')).authentic, true);
});

test('an answer that is cut off is asked for by TCP', async () => {
  await using server = await dnsServer({ records: RECORDS, truncate: true });
  const answer = await new Resolver({ servers: [server.address] }).query('example.org', 'MX');
  assert.equal(answer.records.length, 2);
  assert.deepEqual(server.questions, ['udp example.org MX', 'tcp example.org MX']);
});

test('a server that knows no EDNS is asked without', async () => {
  assert.equal((await ask({ plain: true }, 'example.org', 'MX')).records.length, 2);
});

test('the next server is asked where the first is dead', async () => {
  await using server = await dnsServer({ records: RECORDS });
  const dead = await dnsServer({ records: {} });
  await dead[Symbol.asyncDispose]();
  const resolver = new Resolver({ servers: [dead.address, server.address], timeout: 500 });
  assert.equal((await resolver.query('example.org', 'MX')).records.length, 2);
});

test('an answer is remembered for its time, and comes at once', async () => {
  let now = 0;
  await using server = await dnsServer({ records: RECORDS, ttl: 100 });
  const resolver = new Resolver({ servers: [server.address], now: () => now });
  await Promise.all([resolver.query('example.org', 'MX'), resolver.query('EXAMPLE.org.', 'MX')]);
  assert.equal(server.questions.length, 1);
  now = 99_000;
  const known = resolver.query('example.org', 'MX');
  assert.ok(!(known instanceof Promise));
  assert.equal(known.records.length, 2);
  now = 100_000;
  await resolver.query('example.org', 'MX');
  assert.equal(server.questions.length, 2);
});

test('answers without a time, and failures, are not remembered', async () => {
  await using server = await dnsServer({ records: RECORDS, ttl: 0, trouble: { 'bad.example': 'SERVFAIL' } });
  const resolver = new Resolver({ servers: [server.address], attempts: 1 });
  for (const name of ['mx1.example.org', 'bad.example']) {
    await resolver.query(name, 'A');
    await resolver.query(name, 'A');
  }
  assert.equal(server.questions.length, 4);
});

test('no more answers are remembered than the limit', async () => {
  await using server = await dnsServer({ records: RECORDS });
  const resolver = new Resolver({ servers: [server.address], cacheLimit: 2 });
  for (const name of ['example.org', 'null.example', 'example.org', 'mx1.example.org', 'example.org', 'null.example']) {
    await resolver.query(name, 'MX');
  }
  assert.deepEqual(
    server.questions.map((question) => question.split(' ')[1]),
    ['example.org', 'null.example', 'mx1.example.org', 'null.example'],
  );
});

test('name servers are read as they are written', () => {
  const cases: [string, string, number][] = [
    ['192.0.2.1', '192.0.2.1', 53],
    ['192.0.2.1:5353', '192.0.2.1', 5353],
    ['2001:db8::1', '2001:db8::1', 53],
    ['[2001:db8::1]:5353', '2001:db8::1', 5353],
    ['[2001:db8::1]', '2001:db8::1', 53],
  ];
  for (const [text, address, port] of cases) assert.deepEqual(parseNameServer(text), { address, port });
  for (const text of ['ns.example.org', '192.0.2.1:0', '192.0.2.1:x', '']) {
    assert.throws(() => parseNameServer(text), /postfleet_dns_servers/);
  }
  assert.deepEqual(parseResolvConf('# c\nnameserver 192.0.2.1\nsearch x\n nameserver\t::1 \nnameserver junk\n'), [
    { address: '192.0.2.1', port: 53 },
    { address: '::1', port: 53 },
  ]);
});
