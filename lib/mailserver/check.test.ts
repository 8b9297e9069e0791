import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMailServer, type Problem } from './check.ts';
import { trustingLoopback } from './relay-problems.ts';

const GOOD = {
  mainCf: { myhostname: 'mail.example.test', mydestination: '' },
  nats: { url: 'nats://nats:4222', monitorUrl: 'http://nats:8222' },
  postgres: { secretRef: { name: 'postgres' } },
};

const CLUSTER = { clusterNetworks: ['10.244.0.0/24', '192.0.2.10'] };

function resource(spec: object, name = 'mail'): object {
  return { apiVersion: 'postfleet.dev/v1alpha1', kind: 'MailServer', metadata: { name }, spec };
}

const text = ({ severity, field, text: what }: Problem): string => `${severity} ${field}: ${what}`;

function problems(spec: object, name?: string): string[] {
  return checkMailServer(resource({ ...GOOD, ...spec }, name), CLUSTER).problems.map(text);
}

test('a small MailServer is in order, and comes to a fleet', () => {
  const { problems: found, checked } = checkMailServer(resource(GOOD), CLUSTER);
  assert.deepEqual(found, []);
  assert.ok(checked);
  assert.match(checked.mainCf, /^myhostname = mail\.example\.test$/m);
  assert.match(checked.masterCf, /^smtp inet n - n - - smtpd$/m);
  const names = checked.fleet.processes.map(({ name, services }) =>
    [name, ...services.slice(1).map((guest) => guest.name)].join('+'),
  );
  assert.deepEqual(names, [
    'smtpd',
    'pickup',
    'cleanup',
    'qmgr',
    'rewrite',
    'bounce+defer+trace',
    'smtp+relay+lmtp',
    'showq+flush',
    'error+retry+discard',
    'local',
    'virtual',
    'anvil',
  ]);
});

test('every pod of a service that says nothing else is one of spec.replicas, where several make sense', () => {
  const { checked } = checkMailServer(resource({ ...GOOD, replicas: 3, mailStorage: { size: '1Gi' } }), CLUSTER);
  const replicas = Object.fromEntries(checked!.fleet.processes.map((process) => [process.name, process.replicas]));
  assert.deepEqual([replicas.smtpd, replicas.qmgr, replicas.anvil, replicas.local, replicas.virtual], [3, 3, 1, 1, 1]);
});

const main = (settings: object): object => ({ mainCf: { ...GOOD.mainCf, ...settings } });

const wrong: readonly [situation: string, spec: object, expected: RegExp, name?: string][] = [
  ['no myhostname', { mainCf: {} }, /^error spec\.mainCf: set myhostname/],
  [
    'a parameter that is no text',
    main({ smtpd_timeout: 300 }),
    /^error spec\.mainCf\.smtpd_timeout: .*expected string/,
  ],
  [
    'a time without sense',
    main({ smtpd_timeout: '3q' }),
    /^error spec\.mainCf\.smtpd_timeout: main\.cf, line \d+: smtpd_timeout = 3q: .*expected/,
  ],
  [
    'a number out of range',
    main({ smtp_connect_timeout: '-1' }),
    /^error spec\.mainCf\.smtp_connect_timeout: main\.cf, line \d+/,
  ],
  [
    'a number that is none',
    main({ default_process_limit: 'many' }),
    /^error spec\.mainCf\.default_process_limit: main\.cf, line \d+/,
  ],
  [
    'a compatibility level that is none, on which defaults depend',
    main({ compatibility_level: 'latest' }),
    /^error spec\.mainCf\.compatibility_level: main\.cf, line \d+: .*expected a level/,
  ],
  [
    'parameters that refer to each other',
    main({ mydomain: '$myorigin', myorigin: '$mydomain' }),
    /^error spec\.mainCf\.mydomain: main\.cf, line \d+: .*nesting/,
  ],
  [
    'yes or no that is neither',
    main({ smtpd_helo_required: 'perhaps' }),
    /^error spec\.mainCf\.smtpd_helo_required: main\.cf, line \d+/,
  ],
  [
    'an expression that does not close',
    main({ smtpd_banner: '${mail_name' }),
    /^error spec\.mainCf\.smtpd_banner: main\.cf, line \d+/,
  ],
  [
    'a parameter name with a blank',
    main({ 'smtpd timeout': '3s' }),
    /^error spec\.mainCf\.smtpd timeout: .*expected a parameter name/,
  ],
  ['a parameter name with a line break', main({ 'a\nb': '3s' }), /expected a parameter name/],
  [
    'a misspelt parameter',
    main({ smtpd_tiemout: '3s' }),
    /^warning spec\.mainCf\.smtpd_tiemout: main\.cf, line \d+: unused parameter/,
  ],
  [
    'a restriction that there is not',
    main({ smtpd_recipient_restrictions: 'permit_mynetworks, reject_unauth_destnation' }),
    /^error spec\.mainCf\.smtpd_recipient_restrictions: main\.cf, line \d+: .*unknown restriction "reject_unauth_destnation"/,
  ],
  [
    'a restriction without its argument',
    main({ smtpd_client_restrictions: 'reject_rbl_client' }),
    /^error spec\.mainCf\.smtpd_client_restrictions: main\.cf, line \d+: .*reject_rbl_client requires an argument/,
  ],
  [
    'a network that is none',
    main({ mynetworks: '127.0.0.0/8, 192.0.2.0/33' }),
    /^error spec\.mainCf\.mynetworks: main\.cf, line \d+: mynetworks: 192\.0\.2\.0\/33: .*expected an address or network/,
  ],
  [
    'a TLS level that there is not',
    main({ smtp_tls_security_level: 'maybe' }),
    /^error spec\.mainCf\.smtp_tls_security_level: main\.cf, line \d+: smtp_tls_security_level = maybe: expected one of none, may/,
  ],
  [
    'messages larger than a mailbox',
    main({ message_size_limit: '60000000' }),
    /^error spec\.mainCf\.message_size_limit: main\.cf, line \d+: message_size_limit: (?:virtual_)?mailbox_(?:size_)?limit = 51200000 is smaller/,
  ],
  [
    'a reference to a name that nobody sets',
    main({ smtpd_banner: '$nobody' }),
    /^warning spec\.mainCf\.smtpd_banner: main\.cf, line \d+: undefined parameter: nobody/,
  ],
  [
    'a parameter without effect here',
    main({ biff: 'yes' }),
    /^notice spec\.mainCf\.biff: main\.cf, line \d+: biff has no effect here/,
  ],
  [
    'the address of NATS in main.cf',
    main({ postfleet_nats_url: 'nats://x' }),
    /^error spec\.mainCf: postfleet_nats_url is set by spec\.nats/,
  ],
  [
    'the port map in main.cf',
    main({ postfleet_port_map: 'smtp=26' }),
    /^error spec\.mainCf: postfleet_port_map is set by the operator/,
  ],
  [
    'two addresses of NATS',
    { nats: { url: 'nats://x', secretRef: { name: 'x' } } },
    /^error spec\.nats: give exactly one/,
  ],
  ['no address of Postgres', { postgres: {} }, /^error spec\.postgres: give exactly one/],
  ['no NATS at all', { nats: undefined }, /^error spec\.nats: /],
  ['no shard', { nats: { url: 'nats://x', shards: 0 } }, /^error spec\.nats\.shards: /],
  ['two copies of a stream', { nats: { url: 'nats://x', replicas: 2 } }, /^error spec\.nats\.replicas: /],
  ['a name that is no DNS label', {}, /^error metadata\.name: the name must be a DNS label/, 'Mail_1'],
  ['a name that is too long', {}, /^error metadata\.name: /, 'm'.repeat(31)],
  [
    'an entry of master.cf without a command',
    { masterCf: [{ service: 'new', type: 'unix' }] },
    /^error spec\.masterCf\[0\] \(new\/unix\): command is missing/,
  ],
  [
    'an entry that is taken out and was never there',
    { masterCf: [{ service: 'new', type: 'unix', enabled: false }] },
    /^error spec\.masterCf\[0\] \(new\/unix\): enabled is false/,
  ],
  [
    'a daemon that there is not',
    { masterCf: [{ service: 'new', type: 'unix', command: 'nosuchd' }] },
    /^warning spec\.masterCf\[0\] \(new\/unix\): there is no daemon "nosuchd"/,
  ],
  [
    'a daemon that is not needed',
    { masterCf: [{ service: 'tlsmgr', type: 'unix', command: 'tlsmgr' }] },
    /^notice spec\.masterCf\[0\] \(tlsmgr\/unix\): tlsmgr is not needed/,
  ],
  [
    'a type that there is not',
    { masterCf: [{ service: 'new', type: 'tcp', command: 'smtpd' }] },
    /^error spec\.masterCf\[0\]\.type: /,
  ],
  [
    'a process limit without sense',
    { masterCf: [{ service: 'smtp', type: 'unix', maxproc: 'all' }] },
    /^error spec\.masterCf\[0\]\.maxproc: /,
  ],
  [
    'a setting of an entry without sense',
    { masterCf: [{ service: 'smtp', type: 'inet', options: { smtpd_timeout: 'soon' } }] },
    /^error spec\.masterCf\[0\] \(smtp\/inet\): master\.cf, line 1: -o smtpd_timeout=soon/,
  ],
  [
    'an inet entry with an address',
    { masterCf: [{ service: '127.0.0.1:10025', type: 'inet', command: 'smtpd' }] },
    /^error spec\.masterCf\[0\] .*expected a port number/,
  ],
  [
    'smtpd that is called by name',
    { masterCf: [{ service: 'smtpd', type: 'unix', command: 'smtpd' }] },
    /^error spec\.masterCf\[0\] .*smtpd listens for clients/,
  ],
  [
    'a transport whose name is no DNS name',
    { masterCf: [{ service: 'To_Amavis', type: 'unix', command: 'smtp' }] },
    /^error spec\.masterCf\[0\] .*becomes a DNS name/,
  ],
  [
    'settings of a service that there is not',
    { services: { nosuch: { replicas: 1 } } },
    /^error spec\.services\.nosuch: master\.cf has no such service; expected one of smtpd/,
  ],
  [
    'replicas beside an autoscaler',
    { services: { smtpd: { replicas: 1, autoscaling: { maxReplicas: 3 } } } },
    /^error spec\.services\.smtpd: give either replicas or autoscaling/,
  ],
  [
    'an autoscaler from more to less',
    { services: { smtpd: { autoscaling: { minReplicas: 4, maxReplicas: 3 } } } },
    /^error spec\.services\.smtpd\.autoscaling: minReplicas must not be more/,
  ],
  [
    'a service that is placed with itself',
    { services: { smtp: { placement: { with: 'smtp' } } } },
    /^error spec\.services\.smtp\.placement\.with: "smtp": expected another service/,
  ],
  [
    'a service that is placed with a guest',
    { services: { anvil: { placement: { with: 'trace' } } } },
    /^error spec\.services\.anvil\.placement\.with: "trace" is itself placed/,
  ],
  [
    'two that answer the same calls with other settings',
    {
      masterCf: [{ service: 'pre-cleanup', type: 'unix', command: 'cleanup', options: { header_checks: '' } }],
      services: { 'pre-cleanup': { placement: { with: 'cleanup' } } },
    },
    /^error spec\.services\.pre-cleanup\.placement\.with: "cleanup" answers the same calls/,
  ],
  [
    'a table that is read and not given',
    main({ virtual_alias_maps: 'hash:/etc/postfix/virtual' }),
    /^error spec\.mainCf\.virtual_alias_maps: hash:\/etc\/postfix\/virtual: there is no spec\.tables\.virtual/,
  ],
  [
    'a table of a type that there is not',
    main({ virtual_alias_maps: 'hsah:/etc/postfix/virtual' }),
    /^error spec\.mainCf\.virtual_alias_maps: hsah:\/etc\/postfix\/virtual: unsupported dictionary type: hsah$/,
  ],
  [
    'a table behind proxy: that is not given',
    main({ virtual_alias_maps: 'proxy:lmdb:$config_directory/virtual' }),
    /there is no spec\.tables\.virtual/,
  ],
  [
    'rows where a file is read',
    { ...main({ header_checks: 'regexp:/etc/postfix/checks' }), tables: { checks: { inline: '/x/ DUNNO' } } },
    /^error spec\.tables\.checks\.format: header_checks reads it as regexp: expected file/,
  ],
  [
    'a file where rows are read',
    {
      ...main({ virtual_alias_maps: 'hash:/etc/postfix/virtual' }),
      tables: { virtual: { format: 'file', inline: 'a b' } },
    },
    /^error spec\.tables\.virtual\.format: virtual_alias_maps reads it as hash: expected postmap or aliases/,
  ],
  [
    'a table with two sources',
    { tables: { virtual: { inline: 'a b', secret: { name: 'x', key: 'y' } } } },
    /^error spec\.tables\.virtual: give exactly one of inline/,
  ],
  [
    'a row without a value',
    { tables: { virtual: { inline: 'a@example.test b\nlonely\n' } } },
    /^warning spec\.tables\.virtual: virtual, line 2: expected format: key whitespace value/,
  ],
  [
    'an alias that is none',
    { tables: { aliases: { format: 'aliases', inline: 'root postmaster\n' } } },
    /^warning spec\.tables\.aliases: aliases, line 1: need name:value pair/,
  ],
  [
    'a pattern that cannot be read',
    {
      ...main({ header_checks: 'pcre:/etc/postfix/checks' }),
      tables: { checks: { format: 'file', inline: '/fine/ DUNNO\n/(open/ REJECT\n' } },
    },
    /^warning spec\.tables\.checks: pcre map checks, line 2: error in regex/,
  ],
  [
    'a network that is none, in a table',
    {
      ...main({ smtpd_client_restrictions: 'check_client_access cidr:/etc/postfix/clients' }),
      tables: { clients: { format: 'file', inline: '192.0.2.0/33 REJECT\n' } },
    },
    /^warning spec\.tables\.clients: cidr map clients, line 1: /,
  ],
  ['a table without a source', { tables: { virtual: {} } }, /^error spec\.tables\.virtual: give exactly one of inline/],
  [
    'a table by the name of main.cf',
    { tables: { 'main.cf': { inline: 'a b' } } },
    /^error spec\.tables\.main\.cf: expected a file name/,
  ],
  [
    'a table whose name leads elsewhere',
    { tables: { '../x': { inline: 'a b' } } },
    /^error spec\.tables\.\.\.\/x: expected a file name/,
  ],
  [
    'a port of a service that does not listen',
    { ingress: { ports: [{ service: 'submission', port: 587 }] } },
    /^error spec\.ingress\.ports\[port=587\]\.service: "submission": master\.cf has no such inet entry; expected one of smtp/,
  ],
  [
    'a port that there is not',
    { ingress: { ports: [{ service: 'smtp', port: 70_000 }] } },
    /^error spec\.ingress\.ports\[0\]\.port: /,
  ],
  [
    'an open relay behind source NAT',
    { ...main({ mynetworks: '10.0.0.0/8' }), ingress: { type: 'LoadBalancer', trafficPolicy: 'Cluster' } },
    /^error spec\.mainCf\.mynetworks: open relay: 10\.0\.0\.0\/8 holds 10\.244\.0\.0\/24 of the cluster/,
  ],
  [
    'mailboxes without storage',
    main({ mydestination: '$myhostname' }),
    /^warning spec\.mailStorage: main\.cf delivers to mailboxes/,
  ],
  [
    'storage of two kinds',
    { mailStorage: { claimName: 'x', size: '1Gi' } },
    /^error spec\.mailStorage: give exactly one of claimName and size/,
  ],
  ['a deletion policy that there is not', { deletionPolicy: 'Keep' }, /^error spec\.deletionPolicy: /],
];
for (const [situation, spec, expected, name] of wrong) {
  test(`${situation} is named`, () => {
    const found = problems(spec, name);
    assert.ok(
      found.some((line) => expected.test(line)),
      `none of these matches ${expected}:\n${found.join('\n')}`,
    );
  });
}

test('an object of another kind is named', () => {
  const { problems: found } = checkMailServer({ apiVersion: 'v1', kind: 'Secret' });
  assert.match(
    found.map(text).join(),
    /^error kind: expected apiVersion postfleet\.dev\/v1alpha1 and kind MailServer, found v1 and Secret$/,
  );
});

test('the same network is a warning where the cluster is not known', () => {
  const spec = {
    ...GOOD,
    ...main({ mynetworks: '10.0.0.0/8' }),
    ingress: { type: 'NodePort', trafficPolicy: 'Cluster' },
  };
  const { problems: found, checked } = checkMailServer(resource(spec));
  assert.match(found.map(text).join(), /^warning spec\.mainCf\.mynetworks: 10\.0\.0\.0\/8 may hold nodes or pods/);
  assert.ok(checked);
});

test('values with line breaks and comment signs stay one parameter', () => {
  const { checked } = checkMailServer(
    resource({ ...GOOD, ...main({ mynetworks: '127.0.0.0/8\n  # no comment\n10.1.0.0/16' }) }),
    CLUSTER,
  );
  assert.equal(checked!.configuration.text('mynetworks'), '127.0.0.0/8 # no comment 10.1.0.0/16');
});

test('a setting of one entry keeps the columns of the built-in one', () => {
  const { checked } = checkMailServer(
    resource({
      ...GOOD,
      masterCf: [{ service: 'smtp', type: 'inet', options: { smtpd_banner: 'hello $myhostname' } }],
    }),
    CLUSTER,
  );
  assert.match(checked!.masterCf, /^smtp inet n - n - - smtpd -o \{ smtpd_banner = hello \$myhostname \}$/m);
});

const BEHIND_NODES = { type: 'LoadBalancer', trafficPolicy: 'Cluster' };
const PODS = '127.0.0.0/8 10.0.0.0/8';
const entry = (service: string, options: object): object => ({
  masterCf: [{ service, type: 'inet', command: 'smtpd', options }],
});

/** The open relays that a check finds, by field. */
const relays = (spec: object): string[] =>
  problems(spec).flatMap((line) => /^error (.*): open relay: /.exec(line)?.[1] ?? []);

const MAIN = 'spec.mainCf.mynetworks';
const SMTP = 'spec.masterCf[0] (smtp/inet)';
const SUBMISSION = 'spec.masterCf[0] (submission/inet)';

for (const trafficPolicy of ['Local', 'Cluster']) {
  for (const proxyProtocol of [false, true]) {
    for (const [ofMain, mainNetworks] of Object.entries({
      loopback: undefined,
      pods: PODS,
      strangers: '192.0.2.128/25',
    })) {
      for (const [ofEntry, entryNetworks] of Object.entries({
        nothing: undefined,
        pods: PODS,
        strangers: '192.0.2.128/25',
      })) {
        const inForce = entryNetworks ?? mainNetworks;
        const open = trafficPolicy === 'Cluster' && !proxyProtocol && inForce === PODS;
        const how = `${trafficPolicy}, PROXY protocol ${proxyProtocol ? 'on' : 'off'}, mynetworks of main.cf ${ofMain}, of the entry ${ofEntry}`;
        test(`${how}: ${open ? 'an open relay' : 'safe'}`, () => {
          const spec = {
            ...main(mainNetworks === undefined ? {} : { mynetworks: mainNetworks }),
            ...entry('smtp', entryNetworks === undefined ? {} : { mynetworks: entryNetworks }),
            ingress: { type: 'NodePort', trafficPolicy, proxyProtocol },
          };
          assert.deepEqual(relays(spec), open ? [entryNetworks === undefined ? MAIN : SMTP] : []);
        });
      }
    }
  }
}

const relayCases: readonly [situation: string, spec: object, open: readonly string[]][] = [
  [
    'submission trusts pods, smtp does not',
    { ...entry('submission', { mynetworks: PODS }), ingress: BEHIND_NODES },
    [SUBMISSION],
  ],
  [
    'an argument of the entry trusts pods',
    {
      masterCf: [{ service: 'smtp', type: 'inet', args: ['-o', `mynetworks=${PODS}`] }],
      ingress: BEHIND_NODES,
    },
    [SMTP],
  ],
  [
    'an entry that trusts pods, to which no port of the Service leads',
    {
      ...entry('10025', { mynetworks: PODS }),
      ingress: { ...BEHIND_NODES, ports: [{ service: 'smtp', port: 25 }] },
    },
    [],
  ],
  [
    'an entry that trusts pods, to which a port leads by number',
    {
      ...entry('smtp', { mynetworks: PODS }),
      ingress: { ...BEHIND_NODES, ports: [{ service: '25', port: 25 }] },
    },
    [SMTP],
  ],
  [
    'the PROXY protocol switched off by an entry',
    {
      ...main({ mynetworks: PODS }),
      ...entry('smtp', { smtpd_upstream_proxy_protocol: '' }),
      ingress: { ...BEHIND_NODES, proxyProtocol: true },
    },
    [MAIN],
  ],
  [
    'the PROXY protocol switched off by main.cf',
    {
      ...main({ mynetworks: PODS, smtpd_upstream_proxy_protocol: '' }),
      ingress: { ...BEHIND_NODES, proxyProtocol: true },
    },
    [MAIN],
  ],
  [
    'the PROXY protocol switched on by the only entry',
    {
      ...main({ mynetworks: PODS }),
      ...entry('smtp', { smtpd_upstream_proxy_protocol: 'haproxy' }),
      ingress: BEHIND_NODES,
    },
    [],
  ],
  [
    'the PROXY protocol switched on by one of two entries',
    {
      ...main({ mynetworks: PODS }),
      ...entry('submission', { smtpd_upstream_proxy_protocol: 'haproxy' }),
      ingress: BEHIND_NODES,
    },
    [MAIN],
  ],
];
for (const [situation, spec, open] of relayCases) {
  test(`${situation}: ${open.length > 0 ? 'an open relay' : 'safe'}`, () => assert.deepEqual(relays(spec), open));
}

const lists: readonly [situation: string, open: boolean, settings: object][] = [
  [
    'no permission for mynetworks',
    false,
    { smtpd_relay_restrictions: 'permit_sasl_authenticated reject_unauth_destination' },
  ],
  ['the permission in capitals', true, { smtpd_relay_restrictions: 'PERMIT_MYNETWORKS, reject_unauth_destination' }],
  ['the permission in braces', true, { smtpd_relay_restrictions: '{ permit_mynetworks } reject_unauth_destination' }],
  ['the permission misspelt', true, { smtpd_relay_restrictions: 'permit_mynetwork reject_unauth_destination' }],
  [
    'the permission behind warn_if_reject',
    true,
    { smtpd_relay_restrictions: 'warn_if_reject permit_mynetworks, reject_unauth_destination' },
  ],
  [
    'the permission by another parameter',
    true,
    { own_clients: 'permit_mynetworks', smtpd_relay_restrictions: '$own_clients reject_unauth_destination' },
  ],
  [
    'the permission in a class',
    true,
    {
      smtpd_restriction_classes: 'outer, inner',
      outer: 'permit_sasl_authenticated { inner }',
      inner: 'permit_mynetworks outer',
      smtpd_relay_restrictions: 'outer reject_unauth_destination',
    },
  ],
  [
    'the permission in a class that no list names',
    false,
    {
      smtpd_restriction_classes: 'unused',
      unused: 'permit_mynetworks',
      smtpd_relay_restrictions: 'reject_unauth_destination',
    },
  ],
  [
    'the permission as the answer of a table in the list',
    true,
    { smtpd_relay_restrictions: 'check_client_access static:permit_mynetworks, reject_unauth_destination' },
  ],
  [
    'the permission as the answer of a table of the resource, through a class',
    true,
    {
      smtpd_restriction_classes: 'trusted',
      trusted: 'permit_mynetworks',
      smtpd_relay_restrictions: 'check_sender_access hash:/etc/postfix/senders, reject_unauth_destination',
    },
  ],
  [
    'the permission in a list that only decides about clients',
    false,
    { smtpd_client_restrictions: 'permit_mynetworks reject', smtpd_relay_restrictions: 'reject_unauth_destination' },
  ],
];
for (const [situation, open, settings] of lists) {
  for (const where of ['main.cf', 'the entry']) {
    test(`${situation}, in ${where}: ${open ? 'an open relay' : 'safe'}`, () => {
      const tables = { senders: { inline: 'example.test trusted\n' } };
      const spec =
        where === 'main.cf'
          ? main({ mynetworks: PODS, ...settings })
          : { ...main({ mynetworks: PODS }), ...entry('smtp', settings) };
      assert.deepEqual(relays({ ...spec, tables, ingress: BEHIND_NODES }), open ? [MAIN] : []);
    });
  }
}

test('a spec of which nodes have made an open relay is safe with loopback alone in mynetworks', () => {
  const spec = {
    ...GOOD,
    ...main({ mynetworks: PODS }),
    masterCf: [
      { service: 'smtp', type: 'inet', args: ['-o', `mynetworks=${PODS}`] },
      {
        service: 'submission',
        type: 'inet',
        command: 'smtpd',
        options: { mynetworks: PODS, smtpd_tls_auth_only: 'yes' },
      },
    ],
    ingress: BEHIND_NODES,
  };
  assert.equal(checkMailServer(resource(spec), CLUSTER).checked, undefined);
  const { checked, problems: found } = checkMailServer(resource(trustingLoopback(spec) as object), CLUSTER);
  assert.deepEqual(found, []);
  assert.match(checked!.masterCf, /submission inet .* smtpd -o smtpd_tls_auth_only=yes$/m);
});
