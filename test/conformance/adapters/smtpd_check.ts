/**
 * smtpd_check: a script of SMTP-like commands and parameters, each answered as the restrictions of smtpd answer. See the
 * README of the conformance cases.
 */
import { readFileSync } from 'node:fs';
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import { parameters } from '../../../lib/config/parameters.ts';
import { Configuration } from '../../../lib/config/settings.ts';
import type { Answer, Lookup, RecordData, RecordType } from '../../../lib/dns/answer.ts';
import { FilteredLookup } from '../../../lib/dns/reply-filter.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import { DomainList, NamaddrList } from '../../../lib/tables/match-list.ts';
import { openMaps, openTable } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { splitOutsideBraces } from '../../../lib/util/split.ts';
import type { RestrictionEnvironment } from '../../../services/smtpd/restrictions/environment.ts';
import { AccessPolicy } from '../../../services/smtpd/restrictions/policy.ts';
import { type NameStatus, noActions, type Peer, Subject } from '../../../services/smtpd/restrictions/subject.ts';
import { adapterContext, inputLines, logLine, printLines } from '../support/tables.ts';

const PROGRAM = 'smtpd_check';
const tables = adapterContext(PROGRAM);
const log = {
  info: (text: string) => logLine(PROGRAM, text),
  warning: (text: string) => logLine(PROGRAM, `warning: ${text}`),
  error: (text: string) => logLine(PROGRAM, `error: ${text}`),
  debug: () => undefined,
  child: () => log,
};

const LISTS = ['client', 'helo', 'sender', 'relay', 'recipient'];

const settings = new Map<string, string>([
  ['compatibility_level', '3.12'],
  ['myhostname', 'localhost.localdomain'],
  ['mydomain', 'localdomain'],
  ['mynetworks', ''],
  ['relay_domains', ''],
  ['virtual_alias_maps', ''],
  ['local_recipient_maps', ''],
  ['smtpd_relay_before_recipient_restrictions', 'no'],
  ...LISTS.map((list) => [`smtpd_${list}_restrictions`, ''] as const),
]);

/** The fixture's records; a wildcard stands for one or more labels where no name matches. */
class FixtureLookup implements Lookup {
  readonly #records: readonly { name: string; type: string; data: string }[];
  readonly #ttl: number;

  constructor() {
    const file = process.env.CONFORMANCE_DNS;
    const fixture = file === undefined ? { records: [], default_ttl: 3600 } : JSON.parse(readFileSync(file, 'utf8'));
    this.#records = fixture.records;
    this.#ttl = fixture.default_ttl;
  }

  query<T extends RecordType>(name: string, type: T): Answer<T> {
    const plain = name.toLowerCase().replace(/\.$/, '');
    const exact = this.#records.filter((record) => record.name === plain);
    const wild = this.#records.filter(
      (record) => record.name.startsWith('*.') && plain.endsWith(record.name.slice(1)) && exact.length === 0,
    );
    const here = exact.length > 0 ? exact : wild;
    const exists = here.length > 0 || this.#records.some((record) => record.name.endsWith(`.${plain}`));
    const records = here.filter((record) => record.type === type).map((record) => data(type, record.data));
    const status = records.length > 0 ? 'found' : exists ? 'no-data' : 'not-found';
    return { status, records: records as RecordData[T][], authentic: false, canonicalName: plain, ttl: this.#ttl };
  }
}

function data(type: RecordType, text: string): unknown {
  const name = (host: string): string => host.replace(/\.$/, '');
  if (type === 'MX') {
    const [preference = '', exchange = ''] = text.split(' ');
    return { preference: Number(preference), exchange: name(exchange) };
  }
  return type === 'NS' || type === 'PTR' ? name(text) : text;
}

const dns = new FixtureLookup();

/** The class of an address by its domain alone, as the README of the cases says. */
async function makeResolve(configuration: Configuration) {
  const list = (parameter: string): Promise<DomainList> =>
    DomainList.open(parameter, configuration.text(parameter), tables, { parentDomains: parameter === 'relay_domains' });
  const classes = [
    [await list('mydestination'), ResolveFlag.CLASS_LOCAL | ResolveFlag.FINAL],
    [await list('virtual_alias_domains'), ResolveFlag.CLASS_ALIAS | ResolveFlag.FINAL],
    [await list('virtual_mailbox_domains'), ResolveFlag.CLASS_VIRTUAL | ResolveFlag.FINAL],
    [await list('relay_domains'), ResolveFlag.CLASS_RELAY],
  ] as const;
  return async (address: string): Promise<ResolveReply> => {
    const reply = { transport: '', nexthop: '', recipient: address };
    const at = address.lastIndexOf('@');
    if (at < 0) return { ...reply, flags: ResolveFlag.CLASS_LOCAL | ResolveFlag.FINAL };
    try {
      for (const [domains, flags] of classes) {
        if (await domains.matches(address.slice(at + 1))) return { ...reply, flags };
      }
      return { ...reply, flags: ResolveFlag.CLASS_DEFAULT };
    } catch (error) {
      if (error instanceof TableError) return { ...reply, flags: ResolveFlag.FAIL };
      throw error;
    }
  };
}

async function openPolicy(): Promise<AccessPolicy> {
  const configuration = Configuration.fromText('', { overrides: settings });
  const resolve = await makeResolve(configuration);
  const parents = configuration.list('parent_domain_matches_subdomains').includes('mynetworks');
  const environment: RestrictionEnvironment = {
    configuration,
    log,
    softBounce: false,
    tables,
    mynetworks: await NamaddrList.open('mynetworks', configuration.text('mynetworks'), tables, {
      parentDomains: parents,
    }),
    resolve,
    dns: new FilteredLookup(
      dns,
      await openMaps('smtpd_dns_reply_filter', configuration.text('smtpd_dns_reply_filter'), tables),
      log,
    ),
    openTable: (spec) => openTable(spec, tables),
  };
  return await AccessPolicy.open(environment, { guarded: false });
}

function peer(name: string, address: string, code?: string): Peer {
  const status: NameStatus =
    code === '5' ? 'permanent' : code === '4' || (!code && name === 'unknown') ? 'temporary' : 'ok';
  return { name, reverseName: name, address, port: 0, nameStatus: status, reverseNameStatus: status };
}

const subject = new Subject(peer('localhost', '127.0.0.1'));
subject.queueId = '<queue id>';
let policy = await openPolicy();

const bare = (address = ''): string => (/^<.*>$/.test(address) ? address.slice(1, -1) : address);

type Command = (words: string[]) => Promise<string | undefined>;

const COMMANDS: Readonly<Record<string, Command>> = {
  client: async ([name = '', address = '', code]) => {
    subject.peer = peer(name, address, code);
    subject.recipient = undefined;
    return await policy.connect(subject);
  },
  helo: async ([name = '']) => {
    subject.heloName = name;
    subject.recipient = undefined;
    return await policy.helo(subject, 'HELO');
  },
  mail: async ([address]) => {
    subject.sender = bare(address);
    subject.recipient = undefined;
    return await policy.mail(subject);
  },
  rcpt: async ([address]) => {
    subject.recipient = bare(address);
    return await policy.rcpt(subject);
  },
  rewrite: async () => await policy.rewriteContext(subject),
  flush_dnsxl_cache: async () => undefined,
  fingerprint: async ([fingerprint = '']) => {
    subject.certificateFingerprint = fingerprint;
    return undefined;
  },
  restriction_class: async ([text = '']) => {
    const comma = text.indexOf(',');
    const name = text.slice(0, comma);
    settings.set('smtpd_restriction_classes', `${settings.get('smtpd_restriction_classes') ?? ''} ${name}`);
    settings.set(name, text.slice(comma + 1));
    policy = await openPolicy();
    return undefined;
  },
};

async function set(name: string, value: string): Promise<string> {
  const list = LISTS.find((kind) => name === `${kind}_restrictions`);
  const parameter = list === undefined ? name : `smtpd_${name}`;
  const known = parameters.get(parameter);
  if (known === undefined) return 'bad command';
  const boolean = known.type === 'bool' || known.type === 'nbool';
  settings.set(parameter, boolean ? (value === '0' ? 'no' : 'yes') : value);
  policy = await openPolicy();
  return 'OK';
}

for (const line of inputLines()) {
  printLines(`>>> ${line}`);
  if (line === '' || line.startsWith('#')) continue;
  const [word = '', ...rest] = splitOutsideBraces(line, ' \t');
  const name = word.toLowerCase();
  const command = COMMANDS[name];
  // Each command is judged as if it were about a message of its own.
  subject.actions = noActions();
  if (command !== undefined) printLines((await command(rest)) ?? 'OK');
  else printLines(await set(name, rest.join(' ')));
}
