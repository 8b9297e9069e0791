import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../lib/config/settings.ts';
import { mapHeaderAddresses } from '../../lib/mail/header-addresses.ts';
import type { AddressMappingOptions } from '../../lib/tables/address-lookup.ts';
import { StringList } from '../../lib/tables/match-list.ts';
import { openMaps } from '../../lib/tables/open.ts';
import { type TableContext, TableError } from '../../lib/tables/table.ts';
import { automaticBcc, openAutomaticBcc } from './always-bcc.ts';
import { type CanonicalContext, mapCanonical, openCanonical } from './canonical.ts';
import { masquerade, masqueradeClass, openMasquerade, readMasquerade } from './masquerade.ts';
import { expandVirtualAlias, openVirtualAlias, type VirtualAliasContext } from './virtual-alias.ts';

const warnings: string[] = [];
const warn = (text: string): void => {
  warnings.push(text);
};
const tables: TableContext = { directory: '.', warn, signal: new AbortController().signal };
const lookup: AddressMappingOptions = {
  recipientDelimiter: '+',
  isLocalDomain: (domain) => domain === 'here.x',
  propagateExtension: true,
  canonicalize: (address) => (address.includes('@') ? address : `${address}@here.x`),
};

async function virtual(table: string, limits: Partial<VirtualAliasContext> = {}): Promise<VirtualAliasContext> {
  const maps = await openMaps('virtual_alias_maps', table, tables);
  return { maps, lookup, expansionLimit: 1000, recursionLimit: 1000, addressLengthLimit: 1000, warn, ...limits };
}

/** The recipients, or the reply that the client gets. */
async function expand(context: VirtualAliasContext, recipient: string): Promise<readonly string[] | string> {
  const expansion = await expandVirtualAlias(context, recipient);
  return expansion.ok ? expansion.recipients : `${expansion.status} ${expansion.reason}`;
}

test('an alias becomes all that it leads to, each once, in the order of the table', async () => {
  const context = await virtual(
    `inline:{ {list@v.x = a@v.x, b@v.x c@z.z} {a@v.x = d@z.z, b@v.x} {b@v.x = e@z.z} @w.x=@v.x me@here.x=me@here.x
      {s@v.x = s@v.x, t@z.z} {p@v.x = q@v.x, p@v.x} q@v.x=qq@v.x {ab@here.x = foo} foo=bar }`,
  );
  const cases: [recipient: string, expanded: string[]][] = [
    ['list@v.x', ['d@z.z', 'e@z.z', 'c@z.z']],
    ['list+x@v.x', ['d+x@z.z', 'e+x@z.z', 'c+x@z.z']],
    ['b+ext@v.x', ['e+ext@z.z']],
    ['b@w.x', ['e@z.z']],
    ['me@here.x', ['me@here.x']],
    ['s@v.x', ['s@v.x', 't@z.z']],
    ['p@v.x', ['qq@v.x', 'p@v.x']],
    ['ab@here.x', ['bar@here.x']],
    ['other@z.z', ['other@z.z']],
    ['B@V.X', ['e@z.z']],
  ];
  for (const [recipient, expanded] of cases) assert.deepEqual(await expand(context, recipient), expanded, recipient);
});

test('an alias that grows without end, or leads in a circle, is refused for the time being', async () => {
  const growing = 'regexp:{{/^(.+)@v.x$/ x$1@v.x}}';
  const cases: [limits: Partial<VirtualAliasContext>, table: string, reason: RegExp][] = [
    [{ addressLengthLimit: 50 }, growing, /^unreasonable virtual_alias_maps result x+a@v/],
    [{ recursionLimit: 20 }, growing, /map nesting for a@v.x -- message not accepted, try again later$/],
    [{ expansionLimit: 3 }, 'inline:{ {a@v.x = b@z.z c@z.z d@z.z e@z.z} }', /map expansion size for a@v.x/],
    [{}, 'inline:{ a@v.x=b@v.x b@v.x=a@v.x }', /map nesting for a@v.x/],
    [{}, 'inline:{ {a@v.x = c@z.z b@v.x} b@v.x=a@v.x }', /map nesting for a@v.x/],
  ];
  for (const [limits, table, reason] of cases) {
    warnings.length = 0;
    assert.equal(await expand(await virtual(table, limits), 'a@v.x'), '4.6.0 Alias expansion error');
    assert.match(warnings[0] ?? '', reason);
  }
});

test('an alias table that fails is not an empty one', async () => {
  await assert.rejects(expand(await virtual('fail:tables'), 'a@v.x'), TableError);
});

async function canonical(sender: string, recipient: string, both: string): Promise<CanonicalContext> {
  const classes = (...names: string[]): ReadonlySet<string> => new Set(names);
  return {
    tables: [
      {
        maps: await openMaps('sender_canonical_maps', sender, tables),
        classes: classes('envelope_sender', 'header_sender'),
      },
      { maps: await openMaps('recipient_canonical_maps', recipient, tables), classes: classes('envelope_recipient') },
      {
        maps: await openMaps('canonical_maps', both, tables),
        classes: classes('envelope_sender', 'envelope_recipient', 'header_sender'),
      },
    ],
    lookup,
    warn,
  };
}

test('the table for one side comes before the table for both, and classes bound them', async () => {
  const context = await canonical(
    'inline:{ ugly@x.y=step@x.y }',
    'inline:{ ugly@x.y=to@x.y }',
    'inline:{ step@x.y=pretty@x.y to@x.y=too@x.y login=First.Last@z.z }',
  );
  assert.equal(await mapCanonical(context, 'envelope_sender', 'ugly@x.y'), 'pretty@x.y');
  assert.equal(await mapCanonical(context, 'header_sender', 'ugly+e@x.y'), 'pretty+e@x.y');
  assert.equal(await mapCanonical(context, 'envelope_recipient', 'ugly@x.y'), 'too@x.y');
  assert.equal(await mapCanonical(context, 'header_recipient', 'ugly@x.y'), 'ugly@x.y');
  assert.equal(await mapCanonical(context, 'envelope_sender', 'login@here.x'), 'First.Last@z.z');
});

test('a canonical table that leads on and on is told to the log, and one with two results keeps the first', async () => {
  warnings.length = 0;
  const context = await canonical('', '', 'inline:{ a@x.y=b@x.y b@x.y=a@x.y {two@x.y = c@x.y, d@x.y} }');
  assert.equal(await mapCanonical(context, 'envelope_sender', 'a@x.y'), 'a@x.y');
  assert.equal(await mapCanonical(context, 'envelope_sender', 'two@x.y'), 'c@x.y');
  assert.deepEqual(warnings, [
    'unreasonable canonical_maps map nesting for a@x.y -- message not accepted, try again later',
    'multi-valued canonical_maps entry for two@x.y',
  ]);
});

test('masquerading stops at the first domain that matches, and spares exceptions', async () => {
  await using exceptions = await StringList.open('masquerade_exceptions', 'root', tables);
  const setting = readMasquerade(['!keep.example.com', 'foo.example.com', 'Example.com'], exceptions);
  const cases: [address: string, masqueraded: string][] = [
    ['u@any.foo.example.com', 'u@foo.example.com'],
    ['u@any.example.com', 'u@example.com'],
    ['u@x.keep.example.com', 'u@x.keep.example.com'],
    ['u@keep.example.com', 'u@keep.example.com'],
    ['Root@any.example.com', 'Root@any.example.com'],
    ['u@notexample.com', 'u@notexample.com'],
    ['u', 'u'],
  ];
  for (const [address, masqueraded] of cases) assert.equal(await masquerade(setting, address), masqueraded);
});

test('copies go to each watching address once', async () => {
  const context = {
    alwaysBcc: 'archive@here.x',
    senderBcc: await openMaps('sender_bcc_maps', 'inline:{ @s.x=watch@here.x }', tables),
    recipientBcc: await openMaps('recipient_bcc_maps', 'inline:{ r@here.x=watch@here.x q=second@here.x }', tables),
    lookup,
  };
  assert.deepEqual(await automaticBcc(context, 'a@s.x', ['r@here.x', 'q+ext@here.x', 'z@z.z']), [
    'archive@here.x',
    'watch@here.x',
    'second@here.x',
  ]);
  assert.deepEqual(await automaticBcc(context, '', ['z@z.z']), ['archive@here.x']);
});

test('a header is written anew only where an address in it changed', async () => {
  const options = { tokenLimit: 100 };
  const map = (address: string): string => (address === 'a' ? 'a b@x.y' : address);
  assert.equal(await mapHeaderAddresses('To', 'Name <q@z.z>,  c@z.z', map, options), undefined);
  assert.equal(await mapHeaderAddresses('To', 'Name <a>, (x) c@z.z', map, options), 'To: Name <"a b"@x.y>, c@z.z (x)');
});

test('main.cf names the tables, their classes and their limits', async () => {
  const configuration = Configuration.fromText(`sender_canonical_maps=inline:{a@x.y=b@x.y}
canonical_maps=inline:{c@x.y=d@x.y}
canonical_classes=envelope_recipient
masquerade_domains=x.y
virtual_alias_maps=inline:{v@x.y=w@x.y}
virtual_alias_expansion_limit=7
propagate_unmatched_extensions=canonical
always_bcc=all@x.y
sender_bcc_maps=inline:{a@x.y=seen@x.y}
`);
  await using canonicals = await openCanonical(configuration, tables, lookup);
  assert.equal(await mapCanonical(canonicals, 'envelope_sender', 'a+e@x.y'), 'b+e@x.y');
  assert.equal(await mapCanonical(canonicals, 'envelope_recipient', 'a@x.y'), 'a@x.y');
  assert.equal(await mapCanonical(canonicals, 'envelope_sender', 'c@x.y'), 'c@x.y');
  assert.equal(await mapCanonical(canonicals, 'envelope_recipient', 'c@x.y'), 'd@x.y');
  await using aliases = await openVirtualAlias(configuration, tables, lookup);
  assert.deepEqual(await expand(aliases, 'v+e@x.y'), ['w@x.y']);
  assert.deepEqual([aliases.expansionLimit, aliases.recursionLimit, aliases.addressLengthLimit], [7, 1000, 1000]);
  await using masquerading = await openMasquerade(configuration, tables);
  assert.equal(await masqueradeClass(masquerading, 'header_sender', 'u@h.x.y'), 'u@x.y');
  assert.equal(await masqueradeClass(masquerading, 'envelope_recipient', 'u@h.x.y'), 'u@h.x.y');
  await using bcc = await openAutomaticBcc(configuration, tables, lookup);
  assert.deepEqual(await automaticBcc(bcc, 'a@x.y', ['z@z.z']), ['all@x.y', 'seen@x.y']);
});

test('a rewritten header is folded between addresses as they fit', async () => {
  const complete = (external: string): string => (external.includes('@') ? external : `${external}@example.net`);
  const same = (address: string): string => address;
  const users = (count: number): string => Array.from({ length: count }, (_, index) => `user${index}`).join(',');
  const cases: [text: string, rewritten: string | undefined][] = [
    ['a@b,\n  c@d', undefined],
    ['a, b', 'To: a@example.net, b@example.net'],
    [users(4), 'To: user0@example.net, user1@example.net, user2@example.net,\n\tuser3@example.net'],
    [
      'long, folded@example, another@example\n\t(comment\n folded) <third@example>',
      'To: long@example.net, folded@example, another@example (comment\n folded) <third@example>',
    ],
    ['group: ;, a', 'To: group: ;, a@example.net'],
    ['n: <c@d> (x), a', 'To: n@example.net: <c@d>(x), a@example.net'],
    ['g: b, c; h: d;, a', 'To: g: b@example.net, c;h: d@example.net;, a@example.net'],
    ['<b c@d>, a', 'To: <bc@d>, a@example.net'],
    ['\\', undefined],
  ];
  for (const [text, rewritten] of cases) {
    assert.equal(await mapHeaderAddresses('To', text, same, { tokenLimit: 500, complete }), rewritten, text);
  }
});
