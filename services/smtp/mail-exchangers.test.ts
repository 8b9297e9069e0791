/** Which servers are tried, in which order, and when to give up; with name servers of the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf, type TestAgent } from '../../test/support/delivery.ts';
import { type DnsServer, dnsServer, type Zone } from '../../test/support/dns-server.ts';
import { type Conversation, type ScriptedServer, scriptedServer } from '../../test/support/scripted-server.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: test\n\nhello\n');

const RECORDS: Zone['records'] = {
  'two.example MX': [
    { preference: 20, exchange: 'second.two.example' },
    { preference: 10, exchange: 'first.two.example' },
  ],
  'first.two.example A': ['127.0.0.2'],
  'second.two.example A': ['127.0.0.3'],
  'equal.example MX': [
    { preference: 10, exchange: 'first.two.example' },
    { preference: 10, exchange: 'second.two.example' },
  ],
  'many.example A': ['127.0.0.2', '127.0.0.3', '127.0.0.4'],
  'host.example A': ['127.0.0.3'],
  'alias.example CNAME': ['host.example'],
  'null.example MX': [{ preference: 0, exchange: '.' }],
  'dangling.example MX': [{ preference: 10, exchange: 'nowhere.example' }],
  'empty.example TXT': ['nothing else'],
  'half.example MX': [
    { preference: 10, exchange: 'broken.example' },
    { preference: 20, exchange: 'second.two.example' },
  ],
  'halfdead.example MX': [
    { preference: 10, exchange: 'broken.example' },
    { preference: 20, exchange: 'nowhere.example' },
  ],
  'xn--mnchen-3ya.example A': ['127.0.0.3'],
};

interface Setting extends AsyncDisposable {
  readonly dns: DnsServer;
  readonly agent: TestAgent;
  /** Servers on 127.0.0.2, 127.0.0.3, … on one port; undefined where nothing listens. */
  readonly servers: (ScriptedServer | undefined)[];
  readonly port: number;
}

async function serve(conversation: Conversation): Promise<void> {
  conversation.say('220 scripted.example ESMTP');
  await conversation.serve(['250-scripted.example', '250 PIPELINING']);
}

type Script = (conversation: Conversation, index: number) => Promise<void> | void;

/** `scripts`: what listens on 127.0.0.2 and so on. */
async function arrange(scripts: (Script | undefined)[], mainCf = '', zone: Partial<Zone> = {}): Promise<Setting> {
  const stack = new AsyncDisposableStack();
  const dns = stack.use(await dnsServer({ records: RECORDS, trouble: { 'broken.example': 'SERVFAIL' }, ...zone }));
  const servers: (ScriptedServer | undefined)[] = [];
  let port = 0;
  for (const [at, script] of scripts.entries()) {
    if (script === undefined) {
      servers.push(undefined);
      continue;
    }
    const server = stack.use(await scriptedServer(script, { host: `127.0.0.${at + 2}`, port }));
    port = server.port;
    servers.push(server);
  }
  const agent = stack.use(
    await startAgent(service, {
      mainCf: `inet_protocols = ipv4\npostfleet_dns_servers = ${dns.address}\n${mainCf}`,
    }),
  );
  return { dns, agent, servers, port, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const connections = (setting: Setting) => setting.servers.map((server) => server?.conversations.length ?? 0);

test('the best mail exchanger gets the mail', async () => {
  await using setting = await arrange([serve, serve]);
  await setting.agent.deliver({ nexthop: `two.example:${setting.port}`, content }, 'a@two.example');
  assert.deepEqual(connections(setting), [1, 0]);
  assert.match(setting.agent.lines[0]!, /relay=first\.two\.example\[127\.0\.0\.2\]:\d+,/);
});

test('a broken first mail exchanger: the second gets the mail, and more of it without trying the first', async () => {
  await using setting = await arrange([undefined, serve]);
  const request = { nexthop: `two.example:${setting.port}`, content };
  await setting.agent.deliver(request, 'a@two.example');
  await setting.agent.deliver(request, 'b@two.example');
  assert.deepEqual(connections(setting), [0, 1]);
  assert.equal(setting.agent.lines.length, 3);
  assert.equal(setting.agent.lines[0], `connect to first.two.example[127.0.0.2]:${setting.port}: Connection refused`);
  assert.match(setting.agent.lines[1]!, /relay=second\.two\.example.*status=sent/);
  assert.match(setting.agent.lines[2]!, /relay=second\.two\.example.*conn_use=2.*status=sent/);
});

for (const [name, script, noted] of [
  ['greets with 4xx', (c: Conversation) => c.say('450 busy'), 'refused to talk to me: 450 busy'],
  ['greets with 5xx', (c: Conversation) => c.say('554 no'), 'refused to talk to me: 554 no'],
  ['closes at once', () => undefined, 'lost connection with .* while receiving the initial server greeting'],
  [
    'refuses the recipient for the time being',
    async (c: Conversation) => {
      c.say('220 hi');
      await c.until('EHLO');
      c.say('250-hi\r\n250 PIPELINING');
      await c.until('DATA');
      c.say('250 ok\r\n450 4.2.1 later\r\n554 no');
      await c.serve();
    },
    'said: 450 4\\.2\\.1 later \\(in reply to RCPT TO command\\)',
  ],
] as const) {
  test(`a first mail exchanger that ${name}: the second gets the mail`, async () => {
    await using setting = await arrange([script, serve]);
    const reply = await setting.agent.deliver({ nexthop: `two.example:${setting.port}`, content }, 'a@two.example');
    assert.deepEqual(statusOf(reply), ['2.0.0 250 2.0.0 kept']);
    assert.equal(reply.destinationUnavailable, undefined);
    assert.match(setting.agent.lines[0]!, new RegExp(`^4TestQueueId: .*${noted}$`));
    assert.equal(setting.agent.lines.length, 2);
  });
}

test('a first mail exchanger that refuses for good is the last word', async () => {
  await using setting = await arrange([
    async (c) => {
      c.say('220 hi');
      await c.until('EHLO');
      c.say('250-hi\r\n250 PIPELINING');
      await c.until('DATA');
      c.say('250 ok\r\n550 5.1.1 unknown\r\n554 no');
      await c.serve();
    },
    serve,
  ]);
  const reply = await setting.agent.deliver({ nexthop: `two.example:${setting.port}`, content }, 'a@two.example');
  assert.equal(reply.recipients[0]!.status, DeliveryStatus.BOUNCED);
  assert.deepEqual(connections(setting), [1, 0]);
});

test('when the outcome is unknown no other server is tried', async () => {
  await using setting = await arrange([
    async (c) => {
      c.say('220 hi');
      await c.until('EHLO');
      c.say('250-hi\r\n250 PIPELINING');
      await c.until('DATA');
      c.say('250 ok\r\n250 ok\r\n354 go');
      await c.content();
    },
    serve,
  ]);
  const reply = await setting.agent.deliver({ nexthop: `two.example:${setting.port}`, content }, 'a@two.example');
  assert.equal(reply.recipients[0]!.status, DeliveryStatus.DEFERRED);
  assert.deepEqual(connections(setting), [1, 0]);
});

test('equal mail exchangers share the load', async () => {
  await using setting = await arrange([serve, serve], 'smtp_connection_cache_on_demand = no');
  for (let n = 0; n < 30; n++) {
    await setting.agent.deliver({ nexthop: `equal.example:${setting.port}`, content }, 'a@equal.example');
  }
  const [first, second] = connections(setting);
  assert.equal(first! + second!, 30);
  assert.ok(first! > 2 && second! > 2, `${first} and ${second}`);
});

test('all down: each is tried, the last one is the reason, and the destination is unavailable', async () => {
  await using setting = await arrange([undefined, undefined, undefined]);
  const closed = await scriptedServer(() => undefined, { host: '127.0.0.2' });
  await closed[Symbol.asyncDispose]();
  const reply = await setting.agent.deliver({ nexthop: `[many.example]:${closed.port}`, content }, 'a@many.example');
  assert.equal(setting.agent.lines.filter((line) => line.startsWith('connect to many.example[127.0.0.')).length, 3);
  assert.match(statusOf(reply)[0]!, /^4\.4\.1 connect to many\.example\[127\.0\.0\.\d\]:\d+: Connection refused$/);
  assert.match(reply.destinationUnavailable!.reason, /^connect to /);
});

test('limits on addresses and sessions', async () => {
  const refuse: Script = (c) => c.say('450 busy');
  await using addresses = await arrange([refuse, refuse, refuse], 'smtp_mx_address_limit = 2');
  await addresses.agent.deliver({ nexthop: `[many.example]:${addresses.port}`, content }, 'a@many.example');
  assert.equal(
    connections(addresses).reduce((sum, n) => sum + n),
    2,
  );

  const defer: Script = async (c) => {
    c.say('220 hi');
    await c.until('EHLO');
    c.say('250 hi');
    await c.until('MAIL');
    c.say('450 busy');
    await c.serve();
  };
  await using sessions = await arrange([defer, defer, defer]);
  const reply = await sessions.agent.deliver({ nexthop: `[many.example]:${sessions.port}`, content }, 'a@many.example');
  assert.equal(
    connections(sessions).reduce((sum, n) => sum + n),
    2,
  );
  assert.match(statusOf(reply)[0]!, /said: 450 busy \(in reply to MAIL FROM command\)$/);
});

test('destinations that lead somewhere', async () => {
  for (const nexthop of [
    'host.example',
    '[host.example]',
    'alias.example',
    'half.example',
    'münchen.example',
    '[127.0.0.3]',
  ]) {
    await using setting = await arrange([undefined, serve]);
    const reply = await setting.agent.deliver({ nexthop: `${nexthop}:${setting.port}`, content }, 'a@x.example');
    assert.equal(reply.recipients[0]!.status, DeliveryStatus.SENT, `${nexthop}: ${statusOf(reply)[0]}`);
  }
});

test('destinations that lead nowhere', async () => {
  const name = (domain: string, type: string, what: string) =>
    `Host or domain name not found. Name service error for name=${domain} type=${type}: ${what}`;
  const cases: [string, string, string?][] = [
    ['nowhere.example', `5.4.4 ${name('nowhere.example', 'A', 'Host not found')}`],
    ['empty.example', `5.4.4 ${name('empty.example', 'A', 'Host found but no data record of requested type')}`],
    ['dangling.example', `5.4.4 ${name('nowhere.example', 'A', 'Host not found')}`],
    [
      'dangling.example',
      `4.4.4 ${name('nowhere.example', 'A', 'Host not found')}`,
      'smtp_defer_if_no_mx_address_found = yes',
    ],
    ['null.example', '5.1.0 Domain null.example does not accept mail (nullMX)'],
    ['broken.example', `4.4.3 ${name('broken.example', 'MX', 'Host not found, try again')}`],
    ['halfdead.example', `4.4.3 ${name('broken.example', 'A', 'Host not found, try again')}`],
    ['[127.0.0.1', '4.3.5 mail transport configuration error'],
    ['[127.0.0.1]:nosuchport', '4.3.5 mail transport configuration error'],
  ];
  for (const [nexthop, status, mainCf] of cases) {
    await using setting = await arrange([], mainCf);
    const reply = await setting.agent.deliver({ nexthop, content }, 'a@x.example');
    assert.deepEqual(statusOf(reply), [status]);
    assert.ok(setting.agent.lines.at(-1)!.includes(' relay=none,'));
  }
});

test('mail that would come back to this host', async () => {
  const records = {
    'self.example MX': [
      { preference: 10, exchange: 'me.example' },
      { preference: 20, exchange: 'other.example' },
    ],
    'me.example A': ['127.0.0.1'],
    'other.example A': ['192.0.2.1'],
  };
  await using setting = await arrange([], '', { records });
  for (const nexthop of ['self.example', 'me.example', '[127.0.0.1]']) {
    const reply = await setting.agent.deliver({ nexthop, content }, 'a@self.example');
    const named = nexthop.replace(/[[\]]/g, '');
    assert.deepEqual(statusOf(reply), [`5.4.6 mail for ${named} loops back to myself`]);
  }
});

test('fall-back relays take what cannot be found or reached', async () => {
  for (const nexthop of ['nowhere.example', '[127.0.0.2]']) {
    await using setting = await arrange([undefined, serve]);
    await using agent = await startAgent(service, {
      mainCf: `inet_protocols = ipv4\npostfleet_dns_servers = ${setting.dns.address}\nsmtp_fallback_relay = [127.0.0.3]:${setting.port}`,
    });
    const reply = await agent.deliver({ nexthop: `${nexthop}:${setting.port}`, content }, 'a@x.example');
    assert.deepEqual(statusOf(reply), ['2.0.0 250 2.0.0 kept']);
  }
});

test('several destinations in one nexthop are tried in turn', async () => {
  await using setting = await arrange([undefined, serve]);
  const nexthop = `nowhere.example, [127.0.0.2]:${setting.port} [127.0.0.3]:${setting.port}`;
  const reply = await setting.agent.deliver({ nexthop, content }, 'a@x.example');
  assert.deepEqual(statusOf(reply), ['2.0.0 250 2.0.0 kept']);
});
