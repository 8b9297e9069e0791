/** Restrictions one by one and in lists, against a DNS and a resolver of tables. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Configuration } from '../../../lib/config/settings.ts';
import type { Answer, Lookup, RecordData, RecordType } from '../../../lib/dns/answer.ts';
import { FilteredLookup } from '../../../lib/dns/reply-filter.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import { restrictionNames } from '../../../lib/smtp/restriction-names.ts';
import { NamaddrList } from '../../../lib/tables/match-list.ts';
import { openMaps, openTable } from '../../../lib/tables/open.ts';
import { createLog } from '../../../lib/util/log.ts';
import { RESTRICTIONS } from './compile.ts';
import type { RestrictionEnvironment } from './environment.ts';
import { AccessPolicy } from './policy.ts';
import { type Peer, Subject } from './subject.ts';

const RECORDS: Readonly<Record<string, readonly unknown[]>> = {
  'example.com MX': [{ preference: 10, exchange: 'mx.example.com' }],
  'mx.example.com A': ['192.0.2.25'],
  'example.com NS': ['ns.example.com'],
  'ns.example.com A': ['192.0.2.53'],
  'client.example.com A': ['192.0.2.1'],
  'two.example MX': [
    { preference: 10, exchange: 'one.two.example' },
    { preference: 20, exchange: 'other.two.example' },
  ],
  'one.two.example A': ['198.51.100.1'],
  'other.two.example A': ['198.51.100.2'],
  'backup.example MX': [
    { preference: 10, exchange: 'one.two.example' },
    { preference: 20, exchange: 'ours.example' },
  ],
  'primary.example MX': [
    { preference: 10, exchange: 'ours.example' },
    { preference: 20, exchange: 'one.two.example' },
  ],
  'unsure.example MX': [
    { preference: 10, exchange: 'mx.away.example' },
    { preference: 20, exchange: 'ours.example' },
  ],
  'hidden.example MX': [
    { preference: 10, exchange: 'nowhere.example' },
    { preference: 20, exchange: 'ours.example' },
  ],
  'ours.example A': ['203.0.113.7'],
  'half.away.example A': ['192.0.2.3'],
  'null.example MX': [{ preference: 0, exchange: '' }],
  '9.2.0.192.list.example A': ['127.0.0.2'],
  '9.2.0.192.list.example TXT': ['listed'],
  'bad.example.rhs.example A': ['127.0.0.4'],
};
const AWAY = 'away.example';

const dns: Lookup = {
  query<T extends RecordType>(name: string, type: T): Answer<T> {
    const records = (RECORDS[`${name.toLowerCase()} ${type}`] ?? []) as RecordData[T][];
    const status = records.length > 0 ? 'found' : name.endsWith(AWAY) ? 'retry' : 'not-found';
    return { status, records, authentic: false, canonicalName: name, ttl: 60 };
  },
};

const CLIENT: Peer = {
  name: 'client.example.com',
  reverseName: 'client.example.com',
  address: '192.0.2.1',
  port: 4000,
  nameStatus: 'ok',
  reverseNameStatus: 'ok',
};

interface Session {
  readonly client?: Partial<Peer>;
  readonly helo?: string;
  readonly sender?: string;
  readonly recipient?: string;
  readonly pipelining?: boolean;
  readonly fingerprint?: string;
}

/** The outcome at RCPT of the lists in `mainCf`, and what was logged. */
async function rcpt(mainCf: string, session: Session = {}): Promise<{ reply: string; lines: string[] }> {
  const lines: string[] = [];
  const log = createLog({
    program: 'postfix/smtpd',
    format: 'postfix',
    write: () => undefined,
    observe: (level, text) => lines.push(level === 'info' ? text : `${level}: ${text}`),
  });
  const configuration = Configuration.fromText(
    `compatibility_level = 3.12\nmyhostname = mail.example.org\nmynetworks = 198.51.100.0/24\nlocal_recipient_maps =\n${mainCf}`,
  );
  const tables = { directory: '.', warn: (text: string) => log.warning(text), signal: new AbortController().signal };
  const environment: RestrictionEnvironment = {
    configuration,
    log,
    softBounce: configuration.boolean('soft_bounce'),
    tables,
    mynetworks: await NamaddrList.open('mynetworks', configuration.text('mynetworks'), tables),
    resolve: (address) => {
      const local = address.endsWith('@example.org') || !/[@%]/.test(address);
      const flags = local ? ResolveFlag.CLASS_LOCAL : ResolveFlag.CLASS_DEFAULT;
      const recipient = address.includes('@')
        ? address
        : `${address.replace('%', '@')}${address.includes('%') ? '' : '@example.org'}`;
      return { transport: 'smtp', nexthop: '', recipient, flags };
    },
    dns: new FilteredLookup(dns, await openMaps('smtpd_dns_reply_filter', '', tables), log),
    openTable: (spec) => openTable(spec, tables),
  };
  const policy = await AccessPolicy.open(environment);
  const subject = new Subject({ ...CLIENT, ...session.client });
  subject.heloName = session.helo ?? 'client.example.com';
  subject.sender = session.sender ?? 'sender@example.com';
  subject.illegalPipelining = session.pipelining ?? false;
  subject.certificateFingerprint = session.fingerprint ?? '';
  let reply = (await policy.connect(subject)) ?? (await policy.helo(subject, 'EHLO')) ?? (await policy.mail(subject));
  subject.recipient = session.recipient ?? 'user@example.org';
  reply ??= await policy.rcpt(subject);
  return { reply: reply ?? 'Ok', lines };
}

const list = (restrictions: string): string => `smtpd_recipient_restrictions = ${restrictions}\n`;

const denied = (recipient: string): string => `554 5.7.1 <${recipient}>: Recipient address rejected: Access denied`;
const noExchanger = 'Recipient address rejected: Unable to look up';

const MX_BACKUP: readonly [situation: string, mainCf: string, recipient: string, reply: string][] = [
  ['a domain of our own', '', 'user@example.org', 'Ok'],
  ['a domain that we are the second server of', '', 'user@backup.example', 'Ok'],
  ['a domain that we are the first server of', '', 'user@primary.example', denied('user@primary.example')],
  ['a domain that we are no server of', '', 'user@two.example', denied('user@two.example')],
  ['a domain without servers', '', 'user@ours.example', denied('user@ours.example')],
  ['an address literal', '', 'user@[203.0.113.7]', denied('user@[203.0.113.7]')],
  [
    'a domain that cannot be asked for',
    '',
    `user@${AWAY}`,
    `450 4.4.4 <user@${AWAY}>: ${noExchanger} mail exchanger information: Host not found, try again`,
  ],
  ['a server that cannot be asked for', '', 'user@unsure.example', 'Ok'],
  [
    'a first server that has no address',
    'permit_mx_backup_networks = 198.51.100.0/24\n',
    'user@hidden.example',
    `450 4.4.4 <user@hidden.example>: ${noExchanger} host nowhere.example as mail exchanger: Host not found`,
  ],
  [
    'networks that cannot be asked',
    'permit_mx_backup_networks = fail:x\n',
    'user@backup.example',
    '451 4.3.0 <user@backup.example>: Temporary lookup failure',
  ],
  ['a first server that is listed', 'permit_mx_backup_networks = 198.51.100.0/24\n', 'user@backup.example', 'Ok'],
  [
    'a first server that is not listed',
    'permit_mx_backup_networks = 192.0.2.0/24\n',
    'user@backup.example',
    denied('user@backup.example'),
  ],
  [
    'us behind a translator',
    'inet_interfaces = 192.0.2.77\nproxy_interfaces = 203.0.113.7\n',
    'user@backup.example',
    'Ok',
  ],
];

const cases: readonly [situation: string, mainCf: string, session: Session, reply: string][] = [
  [
    'a HELO name that is no name',
    list('reject_invalid_helo_hostname'),
    { helo: 'a..b' },
    '501 5.5.2 <a..b>: Helo command rejected: Invalid name',
  ],
  [
    'a HELO name without a domain',
    list('reject_non_fqdn_helo_hostname'),
    { helo: 'client' },
    '504 5.5.2 <client>: Helo command rejected: need fully-qualified hostname',
  ],
  ['an address literal as HELO name', list('reject_non_fqdn_helo_hostname'), { helo: '[192.0.2.1]' }, 'Ok'],
  [
    'a HELO name that is not in the DNS',
    list('reject_unknown_helo_hostname'),
    { helo: 'nowhere.example' },
    '450 4.7.1 <nowhere.example>: Helo command rejected: Host not found',
  ],
  [
    'a HELO name that cannot be asked for',
    list('reject_unknown_helo_hostname'),
    { helo: AWAY },
    `450 4.7.1 <${AWAY}>: Helo command rejected: Host not found`,
  ],
  [
    'a sender without a domain',
    list('reject_non_fqdn_sender'),
    { sender: 'sender' },
    '504 5.5.2 <sender>: Sender address rejected: need fully-qualified address',
  ],
  [
    'a sender domain that is not in the DNS',
    list('reject_unknown_sender_domain'),
    { sender: 'a@nowhere.example' },
    '450 4.1.8 <a@nowhere.example>: Sender address rejected: Domain not found',
  ],
  [
    'a sender domain that takes no mail',
    list('reject_unknown_sender_domain'),
    { sender: 'a@null.example' },
    '550 5.7.27 <a@null.example>: Sender address rejected: Domain null.example does not accept mail (nullMX)',
  ],
  ['a sender domain that is there', list('reject_unknown_sender_domain'), { sender: 'a@example.com' }, 'Ok'],
  ['the null sender', list('reject_non_fqdn_sender, reject_unknown_sender_domain'), { sender: '' }, 'Ok'],
  [
    'a client without a name',
    list('reject_unknown_client_hostname'),
    { client: { name: 'unknown', nameStatus: 'permanent' } },
    '450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]',
  ],
  [
    'a client whose name does not lead back',
    list('reject_unknown_reverse_client_hostname'),
    { client: { name: 'unknown', nameStatus: 'forged' } },
    'Ok',
  ],
  [
    'a client whose address has no name',
    list('reject_unknown_reverse_client_hostname'),
    { client: { reverseName: 'unknown', reverseNameStatus: 'permanent' } },
    '450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]',
  ],
  [
    'a DNS list that cannot be asked for the dot at its end',
    list('reject_rbl_client list.example.'),
    { client: { address: '192.0.2.9' } },
    'Ok',
  ],
  [
    'a client on a DNS list',
    list('reject_rbl_client list.example'),
    { client: { address: '192.0.2.9' } },
    '554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using list.example; listed',
  ],
  [
    'a client on a list with another answer',
    list('reject_rbl_client list.example=127.0.0.[3..9]'),
    { client: { address: '192.0.2.9' } },
    'Ok',
  ],
  [
    'a sender domain on a list',
    list('reject_rhsbl_sender rhs.example'),
    { sender: 'a@bad.example' },
    '554 5.7.1 Service unavailable; Sender address [a@bad.example] blocked using rhs.example',
  ],
  [
    'a client on an allow list',
    list('permit_dnswl_client list.example, reject'),
    { client: { address: '192.0.2.9' } },
    'Ok',
  ],
  [
    'an allow list does not open a relay',
    list('permit_dnswl_client list.example, reject'),
    { client: { address: '192.0.2.9' }, recipient: 'a@elsewhere.example' },
    '454 4.7.1 <a@elsewhere.example>: Relay access denied',
  ],
  [
    'a mail server in a table',
    list('check_sender_mx_access inline:{192.0.2.25=REJECT}'),
    {},
    '554 5.7.1 <sender@example.com>: Sender address rejected: Access denied',
  ],
  [
    'a name server in a table, by name',
    list('check_sender_ns_access inline:{{ns.example.com=550 no}}'),
    { sender: 'a@sub.example.com' },
    '550 5.7.1 <a@sub.example.com>: Sender address rejected: no',
  ],
  [
    'an address of the client name in a table',
    list('check_client_a_access inline:{192.0.2.1=REJECT}'),
    {},
    '554 5.7.1 <client.example.com[192.0.2.1]>: Client host rejected: Access denied',
  ],
  [
    'a network of the client in a table',
    list('check_client_access inline:{192.0=REJECT}'),
    {},
    '554 5.7.1 <client.example.com[192.0.2.1]>: Client host rejected: Access denied',
  ],
  [
    'an address pattern in a table',
    list('check_client_access cidr:{{192.0.2.0/24 521 bye}}'),
    {},
    '521 5.7.1 <client.example.com[192.0.2.1]>: Client host rejected: bye',
  ],
  [
    'a localpart in a table',
    list('check_recipient_access inline:{user@=REJECT}'),
    {},
    '554 5.7.1 <user@example.org>: Recipient address rejected: Access denied',
  ],
  [
    'the null sender in a table',
    list('check_sender_access inline:{<>=REJECT}'),
    { sender: '' },
    '554 5.7.1 <>: Sender address rejected: Access denied',
  ],
  ['a number is as good as OK', list('check_recipient_access inline:{user@=12345}, reject'), {}, 'Ok'],
  [
    'a class of restrictions as an action',
    `${list('check_recipient_access inline:{example.org=strict}')}smtpd_restriction_classes = strict\nstrict = reject_non_fqdn_helo_hostname\n`,
    { helo: 'client' },
    '504 5.5.2 <client>: Helo command rejected: need fully-qualified hostname',
  ],
  [
    'defer_if_permit counts where all else permits',
    list('defer_if_permit, permit'),
    {},
    '450 4.7.0 <user@example.org>: Recipient address rejected: defer_if_permit requested',
  ],
  [
    'defer_if_reject makes a refusal temporary',
    list('defer_if_reject, reject'),
    {},
    '450 4.7.0 <user@example.org>: Recipient address rejected: defer_if_reject requested',
  ],
  [
    'soft_bounce makes a refusal temporary',
    `${list('reject')}soft_bounce = yes\n`,
    {},
    '454 4.7.1 <user@example.org>: Recipient address rejected: Access denied',
  ],
  ['warn_if_reject only warns', list('warn_if_reject reject, permit'), {}, 'Ok'],
  [
    'warn_if_reject covers a restriction with an argument',
    list('warn_if_reject check_recipient_access inline:{user@=REJECT}'),
    {},
    'Ok',
  ],
  [
    'commands sent ahead',
    list('reject_unauth_pipelining'),
    { pipelining: true },
    '503 5.5.0 <user@example.org>: Recipient address rejected: Improper use of SMTP command pipelining',
  ],
  [
    'a verified certificate',
    `${list('permit_tls_clientcerts, reject')}relay_clientcerts = inline:{AB:CD=x}\n`,
    { fingerprint: 'AB:CD' },
    'Ok',
  ],
  ['an unknown restriction', list('reject_everything_bad'), {}, '451 4.3.5 Server configuration error'],
  ['postmaster is always heard', list('reject'), { recipient: 'postmaster' }, 'Ok'],
  [
    'an unknown local recipient',
    'local_recipient_maps = inline:{known=x}\n',
    {},
    '550 5.1.1 <user@example.org>: Recipient address rejected: User unknown in local recipient table',
  ],
  ['a known local recipient', 'local_recipient_maps = inline:{user=x}\n', {}, 'Ok'],
  [
    'an unknown recipient, without the name of the table',
    'local_recipient_maps = inline:{known=x}\nshow_user_unknown_table_name = no\n',
    {},
    '550 5.1.1 <user@example.org>: Recipient address rejected: User unknown',
  ],
  [
    'a HELO name in brackets that is no address',
    list('reject_non_fqdn_helo_hostname'),
    { helo: '[client]' },
    '501 5.5.2 <[client]>: Helo command rejected: invalid ip address',
  ],
  [
    'a HELO name in brackets that the DNS is not asked for',
    list('reject_unknown_helo_hostname'),
    { helo: '[client]' },
    '501 5.5.2 <[client]>: Helo command rejected: invalid ip address',
  ],
  [
    'an address as HELO name is in no DNS',
    list('reject_unknown_helo_hostname'),
    { helo: '192.0.2.1' },
    '450 4.7.1 <192.0.2.1>: Helo command rejected: Host not found',
  ],
  [
    'a HELO name in UTF-8',
    list('reject_invalid_helo_hostname'),
    { helo: 'münchen.example' },
    '501 5.5.2 <münchen.example>: Helo command rejected: Invalid name',
  ],
  ['a sender domain of ours needs no DNS', list('reject_unknown_sender_domain'), { sender: 'a@example.org' }, 'Ok'],
  [
    'a sender domain with an address, whatever its MX records',
    list('reject_unknown_sender_domain'),
    { sender: 'a@half.away.example' },
    'Ok',
  ],
  [
    'the domain of a sender is that which it resolves to',
    list('reject_unknown_sender_domain'),
    { sender: 'a%nowhere.example' },
    '450 4.1.8 <a%nowhere.example>: Sender address rejected: Domain not found',
  ],
  [
    'a tab in the text of a table',
    list('check_recipient_access inline:{{user@=REJECT a\tb}}'),
    {},
    '554 5.7.1 <user@example.org>: Recipient address rejected: a b',
  ],
  [
    'defer_if_reject goes before soft_bounce',
    `${list('check_recipient_access inline:{{user@=DEFER_IF_REJECT later}}, reject')}soft_bounce = yes\n`,
    {},
    '450 4.7.1 <user@example.org>: Recipient address rejected: later',
  ],
  [
    'a quoted local part in a table',
    list('check_recipient_access inline:{{"a b"@example.org=REJECT quoted}}'),
    { recipient: 'a b@example.org' },
    '554 5.7.1 <a b@example.org>: Recipient address rejected: quoted',
  ],
  [
    'the same without quotes',
    list('check_recipient_access pcre:{{/^a b@example/ REJECT plain}}'),
    { recipient: 'a b@example.org' },
    '554 5.7.1 <a b@example.org>: Recipient address rejected: plain',
  ],
  [
    'a table is asked for the address that a sender resolves to',
    list('check_sender_access inline:{{elsewhere.example=REJECT}}'),
    { sender: 'a%elsewhere.example' },
    '554 5.7.1 <a%elsewhere.example>: Sender address rejected: Access denied',
  ],
  [
    'the unverified name of a client in a table',
    list('check_reverse_client_hostname_access inline:{example.net=REJECT}'),
    { client: { reverseName: 'rev.example.net' } },
    '554 5.7.1 <rev.example.net>: Unverified Client host rejected: Access denied',
  ],
  [
    'the network of a client with an unverified name',
    list('check_reverse_client_hostname_access inline:{192.0.2=REJECT}'),
    { client: { reverseName: 'rev.example.net' } },
    '554 5.7.1 <rev.example.net>: Unverified Client host rejected: Access denied',
  ],
  [
    'an address literal is its own mail server',
    list('check_sender_mx_access inline:{192.0.2.25=REJECT}'),
    { sender: 'a@[192.0.2.25]' },
    '554 5.7.1 <a@[192.0.2.25]>: Sender address rejected: Access denied',
  ],
  [
    'an address as HELO name is its own address',
    list('check_helo_a_access inline:{192.0.2.7=REJECT}'),
    { helo: '192.0.2.7' },
    '554 5.7.1 <192.0.2.7>: Helo command rejected: Access denied',
  ],
  [
    'a DUNNO for one mail server is the answer for all',
    list('check_sender_mx_access inline:{198.51.100.1=DUNNO, 198.51.100.2=REJECT}'),
    { sender: 'a@two.example' },
    'Ok',
  ],
  [
    'a domain with a dot at its end has no name servers',
    list('check_sender_ns_access inline:{ns.example.com=REJECT}'),
    { sender: 'a@example.com.' },
    'Ok',
  ],
  [
    'mail that is thrown away is judged no further',
    `smtpd_sender_restrictions = check_sender_access inline:{sender@=DISCARD}\n${list('reject')}`,
    {},
    'Ok',
  ],
  [
    'defer_if_reject counts for its own list',
    `smtpd_sender_restrictions = defer_if_reject\n${list('reject')}`,
    {},
    '554 5.7.1 <user@example.org>: Recipient address rejected: Access denied',
  ],
  [
    'defer_if_permit counts for later lists as well',
    `smtpd_sender_restrictions = defer_if_permit\n${list('permit')}`,
    {},
    '450 4.7.0 <sender@example.com>: Sender address rejected: defer_if_permit requested',
  ],
  [
    'defer_if_reject of the list for relaying counts for that of recipients',
    `smtpd_relay_restrictions = defer_if_reject\n${list('reject')}`,
    {},
    '450 4.7.0 <user@example.org>: Recipient address rejected: defer_if_reject requested',
  ],
  [
    'both kinds of deferral end the search',
    list('defer_if_permit, defer_if_reject, reject'),
    {},
    '450 4.7.0 <user@example.org>: Recipient address rejected: defer_if_permit requested',
  ],
  [
    'a refusal that is temporary stays what it is after defer_if_reject',
    list('defer_if_reject, defer'),
    {},
    '450 4.3.2 <user@example.org>: Recipient address rejected: Try again later',
  ],
  [
    'warn_if_reject does not keep defer_if_reject from what it does',
    list('warn_if_reject defer_if_reject, reject'),
    {},
    '450 4.7.0 <user@example.org>: Recipient address rejected: defer_if_reject requested',
  ],
  ['warn_if_reject makes a warning of defer_if_permit', list('warn_if_reject defer_if_permit, permit'), {}, 'Ok'],
  [
    'warn_if_reject does not hide a mistake in the configuration',
    list('warn_if_reject reject_everything_bad'),
    {},
    '451 4.3.5 Server configuration error',
  ],
  ['a table that is none', list('check_client_access somewhere, permit'), {}, '451 4.3.5 Server configuration error'],
  ['a DNS list without a name', list('permit_inet_interfaces, reject_rbl_client'), {}, 'Ok'],
  [
    'client restrictions at RCPT',
    'smtpd_client_restrictions = reject\n',
    {},
    '554 5.7.1 <client.example.com[192.0.2.1]>: Client host rejected: Access denied',
  ],
  [
    'a restriction of old below level 3.9',
    `${list('check_relay_domains')}compatibility_level = 3.6\n`,
    { recipient: 'a@elsewhere.example' },
    '454 4.7.1 <a@elsewhere.example>: Relay access denied',
  ],
  [
    'a client on one of our interfaces',
    `inet_interfaces = 192.0.2.1\nsmtpd_relay_restrictions = permit_inet_interfaces, reject\n`,
    {},
    'Ok',
  ],
  [
    'a client on an interface that is not ours',
    `inet_interfaces = 192.0.2.2\nsmtpd_relay_restrictions = permit_inet_interfaces, reject\n`,
    {},
    denied('user@example.org'),
  ],
  ...MX_BACKUP.map(([situation, settings, recipient, reply]): (typeof cases)[number] => [
    `MX backup: ${situation}`,
    `inet_interfaces = 203.0.113.7\nsmtpd_relay_restrictions = permit_mx_backup, reject\n${settings}`,
    { recipient },
    reply,
  ]),
];

for (const [situation, mainCf, session, reply] of cases) {
  test(`access: ${situation}`, async () => assert.equal((await rcpt(mainCf, session)).reply, reply));
}

test('who owns a sender address is no question where nobody can log in', async () => {
  const names = ['', 'authenticated_', 'unauthenticated_', 'known_'].map((who) => `reject_${who}sender_login_mismatch`);
  const { reply, lines } = await rcpt(list(names.join(', ')));
  assert.equal(reply, 'Ok');
  const ignored = ['authenticated', 'unauthenticated', 'authenticated', 'unauthenticated', 'known'];
  assert.deepEqual(
    lines,
    ignored.map((who) => `warning: restriction \`reject_${who}_sender_login_mismatch' ignored: no SASL support`),
  );
});

test('every refusal is logged with client, sender, recipient and HELO name', async () => {
  const { lines } = await rcpt(list('warn_if_reject reject, reject'), { recipient: 'a b@example.org' });
  const tail =
    '554 5.7.1 <a b@example.org>: Recipient address rejected: Access denied; from=<sender@example.com> to=<"a b"@example.org> proto=SMTP helo=<client.example.com>';
  assert.deepEqual(lines, [
    `NOQUEUE: reject_warning: RCPT from client.example.com[192.0.2.1]: ${tail}`,
    `NOQUEUE: reject: RCPT from client.example.com[192.0.2.1]: ${tail}`,
  ]);
});

const actions: readonly [action: string, lines: readonly string[]][] = [
  ['INFO so it is', ['NOQUEUE: info: RCPT from client.example.com[192.0.2.1]: so it is; TAIL']],
  ['WARN', ['NOQUEUE: warn: RCPT from client.example.com[192.0.2.1]: ; TAIL']],
  ['PREPEND X-Seen: yes', []],
  ['PREPEND nothing', ['warning: access table inline:TABLE entry "user@example.org" requires header: text']],
  ['FILTER', ['warning: access table inline:TABLE entry "user@example.org" has FILTER entry without value']],
  [
    'HOLD',
    [
      'NOQUEUE: hold: RCPT from client.example.com[192.0.2.1]: <user@example.org>: Recipient address triggers HOLD action; TAIL',
    ],
  ],
];

for (const [action, expected] of actions) {
  test(`what is logged for ${action}, of two lists with the same table`, async () => {
    const table = `{{user@=${action}}}`;
    const both = action === 'HOLD' ? `check_recipient_access inline:${table}, ` : '';
    const { lines } = await rcpt(list(`${both}check_recipient_access inline:${table}`));
    const tail = 'from=<sender@example.com> to=<user@example.org> proto=SMTP helo=<client.example.com>';
    assert.deepEqual(
      lines,
      expected.map((line) => line.replace('TAIL', tail).replace('TABLE', table)),
    );
  });
}

test('a server that a table permits is a mistake', async () => {
  const { reply, lines } = await rcpt(list('check_sender_mx_access inline:{mx.example.com=OK}'));
  assert.equal(reply, '451 4.3.5 Server configuration error');
  assert.deepEqual(lines.slice(0, 3), [
    'warning: restriction check_sender_mx_access returns OK for sender@example.com',
    'warning: this is not allowed for security reasons',
    'warning: use DUNNO instead of OK if you want to make an exception',
  ]);
});

const troubles: readonly [restriction: string, sender: string, line: string][] = [
  ['mx', 'a@away.example', 'Unable to look up MX host for away.example: Host not found, try again'],
  ['ns', 'a@away.example', 'Unable to look up NS host for away.example: Host not found, try again'],
  ['ns', 'a@nowhere.example', 'Unable to look up NS host for a@nowhere.example: Host not found'],
  [
    'mx',
    'a@nowhere.example',
    'Unable to look up MX host nowhere.example for Sender address a@nowhere.example: Name or service not known',
  ],
];

for (const [restriction, sender, line] of troubles) {
  test(`servers (${restriction}) of ${sender} that cannot be looked up`, async () => {
    const { lines } = await rcpt(list(`check_sender_${restriction}_access inline:{x=REJECT}`), { sender });
    assert.deepEqual(lines, [`warning: ${line}`]);
  });
}

test('a restriction class without a definition is told at the start', async () => {
  await assert.rejects(rcpt('smtpd_restriction_classes = strict\n'), /restriction class `strict' needs a definition/);
});

test('a misspelling that guides spread is read as what it means, with a warning', async () => {
  const mainCf = `${list('reject_non_fqnd_sender, warn_if_reject check_recipient_address inline:{user@example.org=REJECT}')}smtpd_relay_restrictions = reject_unauth_destinations\n`;
  const refused = await rcpt(mainCf, { sender: 'unqualified' });
  assert.equal(refused.reply, '504 5.5.2 <unqualified>: Sender address rejected: need fully-qualified address');
  assert.equal((await rcpt(mainCf)).reply, 'Ok');
  assert.deepEqual(
    refused.lines.filter((line) => line.includes('misspelt')),
    [
      ['reject_unauth_destinations', 'reject_unauth_destination'],
      ['reject_non_fqnd_sender', 'reject_non_fqdn_sender'],
      ['check_recipient_address', 'check_recipient_access'],
    ].map(
      ([old, present]) => `warning: restriction "${old}" is misspelt; it is read as "${present}"; specify that instead`,
    ),
  );
});

test('a restriction class may have the name of a misspelling', async () => {
  const mainCf = `smtpd_restriction_classes = permit_mynetwork\npermit_mynetwork = reject\n${list('permit_mynetwork')}`;
  assert.match((await rcpt(mainCf)).reply, /^554 5\.7\.1 .*Access denied$/);
});

test('the names that a check of the configuration knows are those that there are', () => {
  const there = Object.entries(RESTRICTIONS).map(([name, { argument }]) => [name, argument === true]);
  assert.deepEqual(there.sort(), [...restrictionNames].sort());
});
