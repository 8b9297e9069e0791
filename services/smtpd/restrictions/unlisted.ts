/**
 * Are there such a recipient, or such a local sender: reject_unlisted_recipient, reject_unlisted_sender and
 * smtpd_reject_unlisted_recipient/sender, which ask the same at the end.
 * An address is listed where one of canonical_maps, virtual_alias_maps or the table of its class has it; a class whose
 * table is not set takes every address. See LOCAL_RECIPIENT_README and ADDRESS_CLASS_README.
 */
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import { splitEnhancedStatus } from '../../../lib/mail/enhanced-status.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import { type AddressLookupOptions, findAddress } from '../../../lib/tables/address-lookup.ts';
import type { Maps } from '../../../lib/tables/maps.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { adaptStatus } from './dsn-status.ts';
import type { Check, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { resolved } from './resolved.ts';
import type { Subject } from './subject.ts';
import { type MaybePromise, refuse, temporaryFailure, type Verdict } from './verdict.ts';

interface ClassTable {
  readonly flag: number;
  readonly maps: Maps;
  /** An empty list accepts all, except for virtual aliases: what is in no table there does not exist. */
  readonly emptyAcceptsAll: boolean;
  readonly code: number;
  readonly text: string;
}

async function classTables(environment: RestrictionEnvironment): Promise<ClassTable[]> {
  const { configuration } = environment;
  const named = configuration.boolean('show_user_unknown_table_name');
  const table = async (flag: number, parameter: string, code: string, name: string, emptyAcceptsAll = true) => ({
    flag,
    maps: await maps(environment, parameter),
    emptyAcceptsAll,
    code: configuration.integer(code),
    text: named ? `User unknown in ${name} table` : 'User unknown',
  });
  return [
    await table(
      ResolveFlag.CLASS_LOCAL,
      'local_recipient_maps',
      'unknown_local_recipient_reject_code',
      'local recipient',
    ),
    await table(
      ResolveFlag.CLASS_ALIAS,
      'virtual_alias_maps',
      'unknown_virtual_alias_reject_code',
      'virtual alias',
      false,
    ),
    await table(
      ResolveFlag.CLASS_VIRTUAL,
      'virtual_mailbox_maps',
      'unknown_virtual_mailbox_reject_code',
      'virtual mailbox',
    ),
    await table(
      ResolveFlag.CLASS_RELAY,
      'relay_recipient_maps',
      'unknown_relay_recipient_reject_code',
      'relay recipient',
    ),
  ];
}

function maps(environment: RestrictionEnvironment, parameter: string): Promise<Maps> {
  return openMaps(parameter, environment.configuration.text(parameter), environment.tables);
}

function lookupOptions(environment: RestrictionEnvironment): AddressLookupOptions {
  const { configuration } = environment;
  return {
    recipientDelimiter: configuration.text('recipient_delimiter'),
    split: {
      doubleBounceSender: configuration.text('double_bounce_sender'),
      ownerRequestSpecial: configuration.boolean('owner_request_special'),
    },
    // The class of the address was resolved before; a table may name its localpart alone where the class is local.
    isLocalDomain: () => true,
  };
}

/** One check for recipients or for senders; both lists share it. */
export async function unlistedCheck(environment: RestrictionEnvironment, of: 'sender' | 'recipient'): Promise<Check> {
  const classes = await classTables(environment);
  const rewriting: Maps[] = [];
  for (const parameter of ['recipient_canonical_maps', 'canonical_maps', 'virtual_alias_maps']) {
    rewriting.push(await maps(environment, parameter));
  }
  if (of === 'sender') rewriting.push(await maps(environment, 'sender_canonical_maps'));
  const known = rewriting.filter((list) => !list.isEmpty);
  const options = lookupOptions(environment);
  const allDomains: AddressLookupOptions = { ...options, isLocalDomain: () => false };
  const doubleBounce = environment.configuration.text('double_bounce_sender').toLowerCase();

  const inMaps = async (address: string, local: boolean, list: Maps): Promise<boolean> =>
    (await findAddress(list, address, local ? options : allDomains)) !== undefined;

  const judge = (subject: Subject, address: string, reply: ResolveReply): MaybePromise<Verdict> => {
    const { flags } = reply;
    if ((flags & ResolveFlag.ERROR) !== 0) {
      const status = of === 'sender' ? '5.1.7' : '5.1.3';
      return refuseAddress(environment, subject, of, address, 550, status, 'Bad address syntax');
    }
    const at = address.lastIndexOf('@');
    if ((at < 0 ? address : address.slice(0, at)).toLowerCase() === doubleBounce) return 'dunno';
    const entry = classes.find(({ flag }) => (flags & flag) !== 0);
    const errorTransport = reply.transport === 'error' || reply.transport === 'retry';
    if (
      known.length === 0 &&
      !errorTransport &&
      (entry === undefined || (entry.maps.isEmpty && entry.emptyAcceptsAll))
    ) {
      return 'dunno';
    }
    return search(subject, address, reply, entry);
  };

  const search = async (
    subject: Subject,
    address: string,
    reply: ResolveReply,
    entry: ClassTable | undefined,
  ): Promise<Verdict> => {
    const local = (reply.flags & ResolveFlag.CLASS_LOCAL) !== 0;
    try {
      const full = reply.recipient === '' ? address : reply.recipient;
      for (const list of known) if (await inMaps(full, local, list)) return 'dunno';
      if (reply.transport === 'error' || reply.transport === 'retry') {
        const { status: own, text } = splitEnhancedStatus(
          reply.nexthop,
          reply.transport === 'error' ? '5.1.1' : '4.3.0',
        );
        const status = adaptStatus(own, of === 'sender' ? 'Sender address' : 'Recipient address', environment.log);
        return refuseAddress(environment, subject, of, address, status.startsWith('4') ? 450 : 550, status, text);
      }
      if (entry === undefined || (entry.maps.isEmpty && entry.emptyAcceptsAll)) return 'dunno';
      if (await inMaps(full, local, entry.maps)) return 'dunno';
      const status = of === 'sender' ? '5.1.0' : '5.1.1';
      return refuseAddress(environment, subject, of, address, entry.code, status, entry.text);
    } catch (error) {
      if (error instanceof TableError) return temporaryFailure(environment, subject, address);
      throw error;
    }
  };

  return (subject) => {
    const address = subject[of];
    if (address === undefined || address === '') return 'dunno';
    if (of === 'recipient') {
      if (subject.recipientListed) return 'dunno';
      subject.recipientListed = true;
    } else {
      if (subject.senderListed) return 'dunno';
      subject.senderListed = true;
    }
    const sender = of === 'sender' ? '' : (subject.sender ?? '');
    return resolved(environment, subject, { address, sender }, (reply) => judge(subject, address, reply));
  };
}

function refuseAddress(
  environment: RestrictionEnvironment,
  subject: Subject,
  of: 'sender' | 'recipient',
  address: string,
  code: number,
  status: string,
  text: string,
): Verdict {
  const replyClass = of === 'sender' ? 'Sender address' : 'Recipient address';
  return refuse(environment, subject, code, status, `<${address}>: ${replyClass} rejected: ${text}`);
}

export const unlistedRestrictions: RestrictionTable = {
  reject_unlisted_recipient: { make: (environment) => unlistedCheck(environment, 'recipient') },
  reject_unlisted_sender: { make: (environment) => unlistedCheck(environment, 'sender') },
  check_recipient_maps: { make: (environment) => unlistedCheck(environment, 'recipient') },
};
