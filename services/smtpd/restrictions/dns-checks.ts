/**
 * Restrictions that ask the DNS whether names exist: reject_unknown_client_hostname,
 * reject_unknown_reverse_client_hostname, reject_unknown_helo_hostname, reject_unknown_sender_domain,
 * reject_unknown_recipient_domain, with their names of old. A question that has no answer for now defers the client, if it
 * would be let in otherwise (unknown_…_tempfail_action). See postconf(5), RFC 7505.
 */
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import { FILTERED } from '../../../lib/dns/reply-filter.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import type { Check, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { resolved } from './resolved.ts';
import type { NameStatus, Subject } from './subject.ts';
import { judgeLiteral } from './syntax.ts';
import { deferIfPermit, refuse, type Verdict } from './verdict.ts';

/** `found` and `null-mx` are about mail; `problem` is a filter's or the name server's. */
type MailHost = 'found' | 'null-mx' | 'not-found' | 'filtered' | 'retry';

/** Has the domain a mail server: MX records, or an address of its own? */
async function mailHost(environment: RestrictionEnvironment, domain: string): Promise<MailHost> {
  const mx = await environment.dns.query(domain, 'MX');
  if (mx.status === 'found') {
    const [first] = mx.records;
    return mx.records.length === 1 && first?.exchange === '' ? 'null-mx' : 'found';
  }
  if (mx.status === 'filtered') return mx.status;
  const host = await addressHost(environment, domain);
  return mx.status === 'retry' && host !== 'found' ? 'retry' : host;
}

/** Has the name an address? */
async function addressHost(environment: RestrictionEnvironment, name: string): Promise<MailHost> {
  let status: MailHost = 'not-found';
  for (const type of ['A', 'AAAA'] as const) {
    const answer = await environment.dns.query(name, type);
    if (answer.status === 'found') return 'found';
    if (answer.status === 'retry') status = 'retry';
    else if (answer.status === 'filtered' && status === 'not-found') status = 'filtered';
  }
  return status;
}

/** Classes of domains that need no mail server of their own. */
const DELIVERED_HERE = ResolveFlag.CLASS_LOCAL | ResolveFlag.CLASS_ALIAS | ResolveFlag.CLASS_VIRTUAL;

/** What a temporary failure does: a class of reply, or defer_if_permit. */
function temporary(
  environment: RestrictionEnvironment,
  subject: Subject,
  action: string,
  code: number,
  status: string,
  text: string,
): Verdict {
  if (action === 'defer') return refuse(environment, subject, code, status, text);
  deferIfPermit(environment, subject, code, status, text);
  return 'dunno';
}

function unknownHelo(environment: RestrictionEnvironment): Check {
  const { configuration } = environment;
  const code = configuration.integer('unknown_hostname_reject_code');
  const action = configuration.text('unknown_helo_hostname_tempfail_action');
  return (subject) => {
    const { heloName } = subject;
    if (heloName === '') return 'dunno';
    if (heloName.startsWith('[')) return judgeLiteral(environment, subject);
    const text = `<${heloName}>: Helo command rejected: Host not found`;
    const judge = async (): Promise<Verdict> => {
      let host = await addressHost(environment, heloName);
      if (host === 'not-found') {
        const mx = await environment.dns.query(heloName, 'MX');
        if (mx.status === 'found' || mx.status === 'retry' || mx.status === 'filtered') host = mx.status;
      }
      if (host === 'not-found') return refuse(environment, subject, code, '4.7.1', text);
      if (host === 'retry') return temporary(environment, subject, action, 450, '4.7.1', text);
      if (host === 'filtered') environment.log.warning(`${heloName}: address or MX lookup error: ${FILTERED}`);
      return 'dunno';
    };
    return judge();
  };
}

interface AddressKind {
  readonly of: 'sender' | 'recipient';
  readonly replyClass: 'Sender address' | 'Recipient address';
  readonly status: string;
  readonly nullMxCode: number;
  readonly nullMxStatus: string;
}

const SENDER: AddressKind = {
  of: 'sender',
  replyClass: 'Sender address',
  status: '4.1.8',
  nullMxCode: 550,
  nullMxStatus: '5.7.27',
};
const RECIPIENT: AddressKind = {
  of: 'recipient',
  replyClass: 'Recipient address',
  status: '4.1.2',
  nullMxCode: 556,
  nullMxStatus: '5.1.10',
};

function unknownDomain(kind: AddressKind): Restriction {
  return {
    make: (environment) => {
      const { configuration } = environment;
      const code = configuration.integer('unknown_address_reject_code');
      const action = configuration.text('unknown_address_tempfail_action');
      return (subject) => {
        const address = subject[kind.of];
        if (address === undefined || address === '') return 'dunno';
        return resolved(environment, subject, { address, sender: '' }, (reply) =>
          judgeAddress(environment, subject, kind, { address, reply, code, action }),
        );
      };
    },
  };
}

async function judgeAddress(
  environment: RestrictionEnvironment,
  subject: Subject,
  kind: AddressKind,
  about: { address: string; reply: ResolveReply; code: number; action: string },
): Promise<Verdict> {
  const { address, reply, code, action } = about;
  if ((reply.flags & DELIVERED_HERE) !== 0) return 'dunno';
  const domain = reply.recipient.slice(reply.recipient.lastIndexOf('@') + 1);
  if (domain === '' || domain.startsWith('[') || !reply.recipient.includes('@')) return 'dunno';
  const rejected = `<${address}>: ${kind.replyClass} rejected:`;
  const host = await mailHost(environment, domain);
  switch (host) {
    case 'found':
      return 'dunno';
    case 'filtered':
      environment.log.warning(`${domain}: MX or address lookup error: ${FILTERED}`);
      return 'dunno';
    case 'null-mx': {
      const text = `${rejected} Domain ${domain} does not accept mail (nullMX)`;
      return refuse(environment, subject, kind.nullMxCode, kind.nullMxStatus, text);
    }
    case 'retry':
      return temporary(environment, subject, action, 450, kind.status, `${rejected} Domain not found`);
    case 'not-found':
      return refuse(environment, subject, code, kind.status, `${rejected} Domain not found`);
  }
}

function unknownClient(pick: (subject: Subject) => NameStatus, what: string, enhanced: string): Restriction {
  return {
    make: (environment) => {
      const code = environment.configuration.integer('unknown_client_reject_code');
      return (subject) => {
        const status = pick(subject);
        if (status === 'ok') return 'dunno';
        const text = `Client host rejected: cannot find your ${what}, [${subject.peer.address}]`;
        return refuse(environment, subject, status === 'temporary' ? 450 : code, enhanced, text);
      };
    },
  };
}

const helo: Restriction = { make: unknownHelo };
const client = unknownClient(({ peer }) => peer.nameStatus, 'hostname', '4.7.25');
const sender = unknownDomain(SENDER);

export const dnsRestrictions: RestrictionTable = {
  reject_unknown_client_hostname: client,
  reject_unknown_client: client,
  reject_unknown_reverse_client_hostname: unknownClient(
    ({ peer }) => peer.reverseNameStatus,
    'reverse hostname',
    '4.7.1',
  ),
  reject_unknown_helo_hostname: helo,
  reject_unknown_hostname: helo,
  reject_unknown_sender_domain: sender,
  reject_unknown_address: sender,
  reject_unknown_recipient_domain: unknownDomain(RECIPIENT),
};
