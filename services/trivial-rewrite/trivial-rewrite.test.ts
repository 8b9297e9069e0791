import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../lib/config/settings.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import { openContext, type TrivialRewriteContext } from './context.ts';
import { createTrivialRewrite } from './trivial-rewrite.ts';

const { ROUTED, ERROR, FAIL, CLASS_LOCAL, CLASS_ALIAS, CLASS_VIRTUAL, CLASS_RELAY, CLASS_DEFAULT } = ResolveFlag;
const HOST = { name: 'mail.example.com', addresses: [] };
const NAMES = 'myhostname=mail.example.com\nmydomain=example.com\ninet_interfaces=127.0.0.1\n';

async function open(mainCf: string, warnings: string[]): Promise<TrivialRewriteContext> {
  return openContext(Configuration.fromText(NAMES + mainCf, { host: HOST }), {
    directory: '.',
    warn: (text) => warnings.push(text),
    signal: new AbortController().signal,
  });
}

type Expected = [address: string, transport: string, nexthop: string, recipient: string, flags: number];

/** Resolves each address twice, so that what is kept is held against what was found out. */
async function check(mainCf: string, cases: Expected[], kind = 'resolve', sender = ''): Promise<string[]> {
  const warnings: string[] = [];
  await using context = await open(mainCf, warnings);
  const service = createTrivialRewrite(context);
  const requests = cases.map(([address]) => ({ kind, sender, address }));
  for (const round of ['first', 'second']) {
    const replies = await service.resolve(requests);
    cases.forEach(([address, transport, nexthop, recipient, flags], index) => {
      assert.deepEqual(replies[index], { transport, nexthop, recipient, flags }, `${address}, ${round} time`);
    });
  }
  return warnings;
}

const UNKNOWN = ['CHANNEL NOT UPDATED', 'NEXTHOP NOT UPDATED'] as const;

test('the class of the domain chooses transport and nexthop', async () => {
  const mainCf = `mydestination=$myhostname localhost.$mydomain
virtual_alias_domains=va.x
virtual_mailbox_domains=vm.x
relay_domains=r.x .all.r.x
parent_domain_matches_subdomains=
virtual_transport=lmtp:unix:sock
relayhost=[rh]:25
`;
  await check(mainCf, [
    ['a@mail.example.com', 'local', 'mail.example.com', 'a@mail.example.com', CLASS_LOCAL],
    ['b@MAIL.example.com', 'local', 'mail.example.com', 'b@MAIL.example.com', CLASS_LOCAL],
    ['a@va.x', 'error', '5.1.1 User unknown in virtual alias table', 'a@va.x', CLASS_ALIAS],
    ['a@vm.x', 'lmtp', 'unix:sock', 'a@vm.x', CLASS_VIRTUAL],
    ['a@r.x', 'relay', '[rh]:25', 'a@r.x', CLASS_RELAY],
    ['a@sub.r.x', 'smtp', '[rh]:25', 'a@sub.r.x', CLASS_DEFAULT],
    ['a@any.all.r.x', 'relay', '[rh]:25', 'a@any.all.r.x', CLASS_RELAY],
    ['a@[127.0.0.1]', 'local', 'mail.example.com', 'a@[127.0.0.1]', CLASS_LOCAL],
    ['a@[192.0.2.1]', 'smtp', '[rh]:25', 'a@[192.0.2.1]', CLASS_DEFAULT],
    ['', 'local', 'mail.example.com', 'MAILER-DAEMON@mail.example.com', CLASS_LOCAL],
    ['-a@r.x', 'relay', '[rh]:25', '-a@r.x', CLASS_RELAY | ERROR],
  ]);
});

test('a route that the sender hid in the localpart is seen', async () => {
  await check('append_dot_mydomain=yes\n', [
    ['x@y@mail.example.com', 'smtp', 'y.example.com', 'x@y.example.com', CLASS_DEFAULT],
    ['x%y.z@mail.example.com', 'smtp', 'y.z', 'x@y.z', CLASS_DEFAULT],
    ['y.z!x@mail.example.com', 'smtp', 'y.z', 'x@y.z', CLASS_DEFAULT],
    ['x@y@z.z', 'smtp', 'z.z', 'x@y@z.z', CLASS_DEFAULT | ROUTED],
    ['x%y@z.z', 'smtp', 'z.z', 'x%y@z.z', CLASS_DEFAULT | ROUTED],
    ['a%b%c@mail.example.com', 'smtp', 'c.example.com', 'a%b@c.example.com', CLASS_DEFAULT | ROUTED],
  ]);
});

test('addresses that no mail can go to are errors', async () => {
  await check('', [
    ['user@', ...UNKNOWN, 'user@', CLASS_DEFAULT | ERROR],
    ['@', ...UNKNOWN, 'MAILER-DAEMON@', CLASS_DEFAULT | ERROR],
    ['a@x..y', ...UNKNOWN, 'a@x..y', CLASS_DEFAULT | ERROR],
    ['a@-x.y', ...UNKNOWN, 'a@-x.y', CLASS_DEFAULT | ERROR],
    ['a@1.2.3.4', ...UNKNOWN, 'a@1.2.3.4', CLASS_DEFAULT | ERROR],
    ['a@[x]', ...UNKNOWN, 'a@[x]', CLASS_DEFAULT | ERROR],
    ['a@b.c:25', ...UNKNOWN, 'a@b.c:25', CLASS_DEFAULT | ERROR],
  ]);
  await check('resolve_null_domain=yes\nresolve_numeric_domain=yes\n', [
    ['user@', 'local', 'mail.example.com', 'user@mail.example.com', CLASS_LOCAL],
    ['a@192.0.2.1', 'smtp', '[192.0.2.1]', 'a@[192.0.2.1]', CLASS_DEFAULT],
  ]);
});

const TRANSPORT_TABLE = `transport_maps=inline:{va.x=t1:n1, vm.x=t2:, r.x=:n3, b@mail.example.com=t4:n4, b@vm.x=:, d.y=t5:,
  .d.y=t6:, e.y=:, {f.y=error:no such thing}, g.y=justname, MAILER-DAEMON@mail.example.com=t9:}
relocated_maps=inline:{moved@d.y=new@x, moved@va.x=new@x}
virtual_alias_domains=va.x
virtual_mailbox_domains=vm.x
relay_domains=r.x
relayhost=[rh]:25
recipient_delimiter=+
`;

test('a transport table has the last word, but for virtual aliases', async () => {
  await check(TRANSPORT_TABLE, [
    ['a@va.x', 'error', '5.1.1 User unknown in virtual alias table', 'a@va.x', CLASS_ALIAS],
    ['a@vm.x', 't2', 'vm.x', 'a@vm.x', CLASS_VIRTUAL],
    ['b@vm.x', 'virtual', 'vm.x', 'b@vm.x', CLASS_VIRTUAL],
    ['a@r.x', 'relay', 'n3', 'a@r.x', CLASS_RELAY],
    ['B+x@mail.example.com', 't4', 'n4', 'B+x@mail.example.com', CLASS_LOCAL],
    ['', 't9', 'mail.example.com', 'MAILER-DAEMON@mail.example.com', CLASS_LOCAL],
    ['q@D.Y', 't5', 'D.Y', 'q@D.Y', CLASS_DEFAULT],
    ['q@sub.d.y', 't6', 'sub.d.y', 'q@sub.d.y', CLASS_DEFAULT],
    ['q@e.y', 'smtp', '[rh]:25', 'q@e.y', CLASS_DEFAULT],
    ['q@f.y', 'error', 'no such thing', 'q@f.y', CLASS_DEFAULT],
    ['q@g.y', 'justname', 'g.y', 'q@g.y', CLASS_DEFAULT],
    ['moved@d.y', 'error', '5.1.6 User has moved to new@x', 'moved@d.y', CLASS_DEFAULT],
    ['moved+x@va.x', 'error', '5.1.6 User has moved to new@x', 'moved+x@va.x', CLASS_ALIAS],
  ]);
});

test('a sender can have a relayhost and a transport of its own', async () => {
  const mainCf = `relayhost=rh
sender_dependent_relayhost_maps=inline:{s@x.y=[special], @x.y=[domain], <>=[null], dunno@x.y=DUNNO}
sender_dependent_default_transport_maps=inline:{t@x.y=slow:, u@x.y=slow:[uh]}
`;
  const to = (transport: string, nexthop: string): Expected[] => [
    ['q@a.b', transport, nexthop, 'q@a.b', CLASS_DEFAULT],
  ];
  await check(mainCf, to('smtp', '[special]'), 'resolve', 's@x.y');
  await check(mainCf, to('smtp', '[domain]'), 'resolve', 'other@x.y');
  await check(mainCf, to('smtp', 'rh'), 'resolve', 'dunno@x.y');
  await check(mainCf, to('smtp', 'rh'), 'resolve', 'q@z.z');
  await check(mainCf, to('smtp', '[null]'), 'resolve', '');
  await check(mainCf, to('slow', '[domain]'), 'resolve', 't@x.y');
  await check(mainCf, to('slow', '[uh]'), 'resolve', 'u@x.y');
});

test('probes have parameters of their own', async () => {
  const mainCf = 'relayhost=rh\naddress_verify_relayhost=\naddress_verify_local_transport=lmtp:x\n';
  const recipient = 'a@mail.example.com';
  await check(mainCf, [['q@a.b', 'smtp', 'a.b', 'q@a.b', CLASS_DEFAULT]], 'verify');
  await check(mainCf, [[recipient, 'lmtp', 'x', recipient, CLASS_LOCAL]], 'verify');
  await check(mainCf, [['q@a.b', 'smtp', 'rh', 'q@a.b', CLASS_DEFAULT]]);
});

test('a table that fails is a flag and a warning, not an answer', async () => {
  const local = await check('virtual_mailbox_domains=fail:tables\n', [
    ['a@mail.example.com', 'local', 'mail.example.com', 'a@mail.example.com', CLASS_LOCAL],
  ]);
  assert.ok(!local.includes('virtual_mailbox_domains lookup failure'));
  const failing = await check('virtual_mailbox_domains=fail:tables\n', [['a@r.x', ...UNKNOWN, 'a@r.x', FAIL]]);
  assert.ok(failing.includes('virtual_mailbox_domains lookup failure'));
  const transport = await check('transport_maps=fail:tables\n', [
    ['a@r.x', 'smtp', 'r.x', 'a@r.x', CLASS_DEFAULT | FAIL],
  ]);
  assert.ok(transport.includes('transport_maps lookup failure'));
});

test('a domain that is listed in two classes is told to the log', async () => {
  const mainCf = 'virtual_alias_domains=b.x\nrelay_domains=b.x\nvirtual_mailbox_domains=mail.example.com\n';
  const warnings = await check(mainCf, [
    ['a@b.x', 'error', '5.1.1 User unknown in virtual alias table', 'a@b.x', CLASS_ALIAS],
  ]);
  assert.deepEqual(warnings, ['do not list domain b.x in BOTH virtual_alias_domains and relay_domains']);
});

test('addresses are completed with the domains of their context', async () => {
  await using context = await open('append_dot_mydomain=yes\nremote_header_rewrite_domain=domain.invalid\n', []);
  const service = createTrivialRewrite(context);
  const cases: [rule: string, address: string, rewritten: string][] = [
    ['local', 'a', 'a@mail.example.com'],
    ['remote', 'a', 'a@domain.invalid'],
    ['local', 'a@b', 'a@b.example.com'],
    ['remote', 'a@b', 'a@b.domain.invalid'],
    ['local', 'a@b.', 'a@b'],
    ['local', 'two words@b.c', 'two words@b.c'],
    ['local', 'site!user', 'user@site.example.com'],
    ['local', 'user%site', 'user@site.example.com'],
    ['local', 'user@[192.0.2.1]', 'user@[192.0.2.1]'],
    ['local', '', ''],
    ['local', '@', '@'],
  ];
  const requests = cases.map(([rule, address]) => ({ rule, address, external: false }));
  assert.deepEqual(
    await service.rewrite(requests),
    cases.map(([, , rewritten]) => rewritten),
  );
});

test('an address in the form of headers shows what is a route and what is a quoted localpart', async () => {
  await using context = await open('myorigin=example.com\nappend_dot_mydomain=no\n', []);
  const service = createTrivialRewrite(context);
  const cases: [address: string, rewritten: string][] = [
    ['@route1,@route2:user@host', 'user@host'],
    ['"@route1:user"@host', '@route1:user@host'],
    ['"simple"@host', 'simple@host'],
    ['"two words"', '"two words"@example.com'],
    ['user!site@host', 'user!site@host'],
    ['site!user', 'user@site'],
    ['"site!user"', 'site!user@example.com'],
    ['a,b@host', '"a, b"@host'],
    ['@route:', '@route:""'],
    ['""', '""'],
    ['@', '""'],
  ];
  const requests = cases.map(([address]) => ({ rule: 'local', address, external: true }));
  assert.deepEqual(
    await service.rewrite(requests),
    cases.map(([, rewritten]) => rewritten),
  );
});
