/**
 * DNS block lists and allow lists: reject_rbl_client, reject_rhsbl_client, reject_rhsbl_reverse_client,
 * reject_rhsbl_helo, reject_rhsbl_sender, reject_rhsbl_recipient, permit_dnswl_client, permit_rhswl_client, each with
 * `domain` or `domain=d.d.d.d` (postconf(5)). The reply comes from rbl_reply_maps or default_rbl_reply.
 *
 * A list that cannot be asked is logged and has nobody on it.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { expand } from '../../../lib/config/expand.ts';
import { FILTER_SYNTAX, FILTERED } from '../../../lib/dns/reply-filter.ts';
import { splitEnhancedStatus } from '../../../lib/mail/enhanced-status.ts';
import { isHostName } from '../../../lib/mail/mail-domain.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { parseAddress } from '../../../lib/util/ip-address.ts';
import { matchesIpPattern, parseIpPattern } from '../../../lib/util/ip-match.ts';
import { isAuthorized, resolvedRecipient } from './destination.ts';
import type { Check, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { expansionFilter } from './expansion-filter.ts';
import type { Subject } from './subject.ts';
import { type ReplyClass, refuse, serverError, type Verdict } from './verdict.ts';

/** A list, and the replies that count. */
interface DnsList {
  /** As written: the key in rbl_reply_maps. */
  readonly text: string;
  readonly domain: string;
  listed(address: string): boolean;
}

function parseList(environment: RestrictionEnvironment, text: string): DnsList {
  const equals = text.indexOf('=');
  if (equals < 0) return { text, domain: text, listed: () => true };
  const pattern = parseIpPattern(text.slice(equals + 1));
  if ('error' in pattern) {
    environment.log.warning(`bad DNS list reply filter in "${text}": ${pattern.error}`);
    return { text, domain: text.slice(0, equals), listed: () => false };
  }
  return { text, domain: text.slice(0, equals), listed: (address) => matchesIpPattern(pattern, address) };
}

/** 1.2.0.192 for 192.0.2.1; nibbles for IPv6. Undefined for what is no address. */
function reversed(address: string): string | undefined {
  if (isIPv4(address)) return address.split('.').reverse().join('.');
  if (!isIPv6(address)) return undefined;
  const bytes = parseAddress(address);
  if (bytes === undefined) return undefined;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .split('')
    .reverse()
    .join('.');
}

/** Is the name on the list? */
async function isListed(environment: RestrictionEnvironment, list: DnsList, name: string): Promise<boolean> {
  const query = `${name}.${list.domain}`;
  // What cannot be a host name is on no list: a domain that ends with a dot.
  if (!isHostName(query)) return false;
  const answer = await environment.dns.query(query, 'A');
  if (answer.status === 'retry' || answer.status === 'filtered') {
    const what = `name=${query} type=A`;
    const why =
      answer.status === 'retry' && answer.problem !== FILTER_SYNTAX
        ? `Host or domain name not found. Name service error for ${what}: Host not found, try again`
        : `Error looking up ${what}: ${answer.problem ?? FILTERED}`;
    environment.log.warning(`${query}: RBL lookup error: ${why}`);
    return false;
  }
  return answer.records.some((address) => list.listed(address));
}

/** What the list says of it in words. */
async function reason(environment: RestrictionEnvironment, query: string): Promise<string> {
  const answer = await environment.dns.query(query, 'TXT');
  if (answer.status === 'filtered' || answer.status === 'retry') {
    environment.log.warning(`${query}: TXT lookup error: ${answer.problem ?? 'Host not found, try again'}`);
    return '';
  }
  return answer.records[0] ?? '';
}

interface Listed {
  readonly list: DnsList;
  /** What was looked up below the list's domain. */
  readonly name: string;
  /** What it belongs to, for the reply. */
  readonly what: string;
  readonly replyClass: ReplyClass;
}

type ReplyTemplate = (subject: Subject, listed: Listed) => Promise<Verdict>;

async function replyTemplate(environment: RestrictionEnvironment): Promise<ReplyTemplate> {
  const { configuration } = environment;
  const code = configuration.integer('maps_rbl_reject_code');
  const standard = configuration.text('default_rbl_reply');
  const maps = await openMaps('rbl_reply_maps', configuration.text('rbl_reply_maps'), environment.tables);
  const filter = expansionFilter(configuration.text('smtpd_expansion_filter'));
  return async (subject, listed) => {
    let template: string;
    try {
      template = (await maps.lookup(listed.list.text)) ?? standard;
    } catch (error) {
      if (error instanceof TableError) return serverError(environment, subject);
      throw error;
    }
    const text = await reason(environment, `${listed.name}.${listed.list.domain}`);
    const values = attributes(subject, listed, code, text);
    const reply = expand(template, { lookup: (name) => values.get(name), recursive: false, filter }).text.trim();
    const own = /^([45]\d\d)(?:[ \t]+|$)/.exec(reply);
    const { status, text: words } = splitEnhancedStatus(own === null ? reply : reply.slice(own[0].length), '5.7.1');
    return refuse(environment, subject, own === null ? code : Number(own[1]), status, words);
  };
}

function attributes(subject: Subject, listed: Listed, code: number, text: string): Map<string, string> {
  const values = new Map<string, string>();
  const address = (name: string, value: string): void => {
    const at = value.lastIndexOf('@');
    values.set(name, value === '' ? '<>' : value);
    values.set(`${name}_name`, at < 0 ? value : value.slice(0, at));
    values.set(`${name}_domain`, at < 0 ? '' : value.slice(at + 1));
  };
  const set = (name: string, value: string): void => {
    if (value !== '') values.set(name, value);
  };
  values.set('client', subject.clientNameAddress);
  values.set('client_address', subject.peer.address);
  values.set('client_name', subject.peer.name);
  values.set('reverse_client_name', subject.peer.reverseName);
  set('helo_name', subject.heloName);
  if (subject.sender !== undefined) address('sender', subject.sender);
  if (subject.recipient !== undefined) address('recipient', subject.recipient);
  values.set('rbl_code', String(code));
  values.set('rbl_domain', listed.list.domain);
  set('rbl_txt', text);
  set('rbl_reason', text);
  values.set('rbl_what', listed.what);
  values.set('rbl_class', listed.replyClass);
  return values;
}

interface Question {
  readonly name: string;
  readonly what: string;
}

/** Refuses what `ask` names where it is on the list. */
function blockList(replyClass: ReplyClass, ask: (subject: Subject) => Question | undefined): Restriction {
  return {
    argument: true,
    make: async (environment, _kind, argument): Promise<Check> => {
      const list = parseList(environment, argument);
      const answer = await replyTemplate(environment);
      return (subject) => {
        const question = ask(subject);
        if (question === undefined) return 'dunno';
        return isListed(environment, list, question.name).then((listed) =>
          listed ? answer(subject, { list, replyClass, ...question }) : 'dunno',
        );
      };
    },
  };
}

/** Permits who is on the list, never beyond what reject_unauth_destination would let pass. */
function allowList(ask: (subject: Subject) => Question | undefined): Restriction {
  return {
    argument: true,
    make: (environment, _kind, argument): Check => {
      const list = parseList(environment, argument);
      const routing = environment.configuration.boolean('allow_untrusted_routing');
      return (subject) => {
        const question = ask(subject);
        if (question === undefined) return 'dunno';
        return isListed(environment, list, question.name).then((listed) => {
          if (!listed) return 'dunno';
          if (subject.recipient === undefined) return 'permit';
          return resolvedRecipient(environment, subject, (_subject, _recipient, reply) =>
            isAuthorized(reply, routing) ? 'permit' : 'dunno',
          );
        });
      };
    },
  };
}

function byAddress(subject: Subject): Question | undefined {
  const name = reversed(subject.peer.address);
  return name === undefined ? undefined : { name, what: subject.peer.address };
}

/** A domain whose top-level domain is a number is none that a list could know. */
function byDomain(text: string): Question | undefined {
  const domain = text.slice(text.lastIndexOf('@') + 1).replace(/\.$/, '');
  if (domain === '' || domain === 'unknown' || domain.startsWith('[') || domain.includes(':')) return undefined;
  if (/^\d+$/.test(domain.slice(domain.lastIndexOf('.') + 1))) return undefined;
  return { name: domain, what: text };
}

export const dnsListRestrictions: RestrictionTable = {
  reject_rbl_client: blockList('Client host', byAddress),
  reject_rhsbl_client: blockList('Client host', ({ peer }) => byDomain(peer.name)),
  reject_rhsbl_reverse_client: blockList('Unverified Client host', ({ peer }) => byDomain(peer.reverseName)),
  reject_rhsbl_helo: blockList('Helo command', ({ heloName }) => byDomain(heloName)),
  reject_rhsbl_sender: blockList('Sender address', ({ sender }) => byDomain(sender ?? '')),
  reject_rhsbl_recipient: blockList('Recipient address', ({ recipient }) => byDomain(recipient ?? '')),
  permit_dnswl_client: allowList(byAddress),
  permit_rhswl_client: allowList(({ peer }) => byDomain(peer.name)),
};
