import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Exposure, openRelay } from './open-relay.ts';

const CLUSTER = ['10.244.0.0/24', '192.0.2.10', 'fd00:1::/64'];

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const;
const POLICIES = ['Local', 'Cluster'] as const;
const NETWORKS = [
  { what: 'mynetworks holds pods', mynetworks: '127.0.0.0/8, 10.0.0.0/8', meets: true },
  { what: 'mynetworks holds strangers only', mynetworks: '127.0.0.0/8 [::1]/128 198.51.100.0/24', meets: false },
];

for (const type of TYPES) {
  for (const trafficPolicy of POLICIES) {
    for (const proxyProtocol of [false, true]) {
      for (const { what, mynetworks, meets } of NETWORKS) {
        for (const permitsMynetworks of [true, false]) {
          const open =
            type !== 'ClusterIP' && trafficPolicy === 'Cluster' && !proxyProtocol && meets && permitsMynetworks;
          const how = `${type}, ${trafficPolicy}, PROXY protocol ${proxyProtocol ? 'on' : 'off'}, ${what}, permit_mynetworks ${permitsMynetworks ? 'given' : 'not given'}`;
          test(`${how}: ${open ? 'an open relay' : 'safe'}`, () => {
            const exposure = {
              type,
              trafficPolicy,
              proxyProtocol,
              mynetworks,
              permitsMynetworks,
              clusterNetworks: CLUSTER,
            };
            assert.equal(openRelay(exposure).verdict, open ? 'open' : 'safe');
          });
        }
      }
    }
  }
}

const exposed = (mynetworks: string): Exposure => ({
  type: 'LoadBalancer',
  trafficPolicy: 'Cluster',
  proxyProtocol: false,
  permitsMynetworks: true,
  mynetworks,
  clusterNetworks: CLUSTER,
});

const networks: readonly [situation: string, mynetworks: string, verdict: string][] = [
  ['a single node', '192.0.2.10', 'open'],
  ['a node in brackets', '[192.0.2.10]', 'open'],
  ['a network inside that of the pods', '10.244.0.128/25', 'open'],
  ['a network around that of the pods', '10.128.0.0/9', 'open'],
  ['everything', '0.0.0.0/0', 'open'],
  ['pods by IPv6', '[fd00:1::]/56', 'open'],
  ['another network by IPv6', '[fd00:2::]/64', 'safe'],
  ['pods excluded before a network around them', '!10.244.0.0/16 !192.0.2.0/24 10.0.0.0/8', 'safe'],
  ['pods excluded after a network around them, which is too late', '10.0.0.0/8 !10.244.0.0/16', 'open'],
  ['some pods excluded', '!10.244.0.0/25 10.0.0.0/8', 'open'],
  ['nothing', '', 'safe'],
  ['a table', 'hash:/etc/postfix/networks', 'unknown'],
  ['a file', '/etc/postfix/networks', 'unknown'],
  ['a table and pods', 'cidr:/etc/postfix/networks 10.0.0.0/8', 'open'],
  ['a host name, which no address is compared with', 'mail.example.com', 'safe'],
];
for (const [situation, mynetworks, verdict] of networks) {
  test(`mynetworks with ${situation}: ${verdict}`, () => {
    assert.equal(openRelay(exposed(mynetworks)).verdict, verdict);
  });
}

test('an open relay is told with the pattern and the network that it meets', () => {
  assert.deepEqual(openRelay(exposed('127.0.0.0/8 10.0.0.0/8')), {
    verdict: 'open',
    pattern: '10.0.0.0/8',
    network: '10.244.0.0/24',
  });
});
