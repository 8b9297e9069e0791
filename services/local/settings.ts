/** What local(8) reads from main.cf, compiled once, and the tables that it opens. */
import { mailboxLimitProblem } from '../../lib/delivery/mailbox-limit.ts';
import type { LockSettings } from '../../lib/delivery/mailbox-order.ts';
import { lockSettings, type MailboxOwner, mailboxOwner } from '../../lib/delivery/mailbox-settings.ts';
import { canChangeRights, type Rights, rightsOf } from '../../lib/delivery/rights.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { tableContext } from '../../lib/server/table-context.ts';
import { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import { SENSITIVE } from '../../lib/tables/table.ts';
import { FatalError } from '../../lib/util/errors.ts';
import type { UserDatabase } from '../../lib/util/passwd.ts';

export const LOCAL_PARAMETERS = [
  'alias_maps',
  'allow_mail_to_commands',
  'allow_mail_to_files',
  'command_execution_directory',
  'command_expansion_filter',
  'command_time_limit',
  'default_privs',
  'duplicate_filter_limit',
  'execution_directory_expansion_filter',
  'expand_owner_alias',
  'export_environment',
  'fallback_transport',
  'fallback_transport_maps',
  'forward_expansion_filter',
  'forward_path',
  'frozen_delivered_to',
  'home_mailbox',
  'local_command_shell',
  'local_recipient_maps',
  'luser_relay',
  'mail_spool_directory',
  'mailbox_command',
  'mailbox_command_maps',
  'mailbox_delivery_lock',
  'mailbox_size_limit',
  'mailbox_transport',
  'mailbox_transport_maps',
  'message_size_limit',
  'owner_request_special',
  'prepend_delivered_header',
  'propagate_unmatched_extensions',
  'queue_directory',
  'require_home_directory',
  'reset_owner_alias',
];

/** Where a destination was named: in an alias, in a user's .forward file, in an :include: file. */
export type Origin = 'alias' | 'forward' | 'include';

/** One table of alias_maps, and as whom its commands run: undefined for a table that the superuser owns. */
export interface AliasTable {
  readonly maps: Maps;
  readonly rights: Rights | undefined;
}

export interface LocalSettings extends AsyncDisposable {
  readonly aliasTables: readonly AliasTable[];
  readonly mailboxTransportMaps: Maps;
  readonly mailboxCommandMaps: Maps;
  readonly fallbackTransportMaps: Maps;
  /** Known users beside those of the host; consulted where all mailboxes have one owner. */
  readonly localRecipientMaps: Maps;
  readonly owner: MailboxOwner;
  /** As whom commands and files of nobody in particular are handled. */
  readonly defaultRights: Rights;
  readonly commandsAllowed: ReadonlySet<string>;
  readonly filesAllowed: ReadonlySet<string>;
  readonly deliveredToIn: ReadonlySet<string>;
  readonly extensionsPropagated: ReadonlySet<string>;
  readonly recipientDelimiter: string;
  readonly ownerRequestSpecial: boolean;
  readonly expandOwnerAlias: boolean;
  readonly resetOwnerAlias: boolean;
  readonly frozenDeliveredTo: boolean;
  readonly originalRecipient: boolean;
  readonly duplicateLimit: number;
  readonly forwardPath: string;
  readonly forwardFilter: string;
  readonly commandFilter: string;
  readonly directoryFilter: string;
  readonly commandDirectory: string;
  readonly commandShell: string;
  readonly commandTimeLimit: number;
  readonly exported: readonly string[];
  readonly configDirectory: string;
  readonly workingDirectory: string;
  readonly mailboxTransport: string;
  readonly mailboxCommand: string;
  readonly fallbackTransport: string;
  readonly homeMailbox: string;
  readonly spoolDirectory: string;
  readonly luserRelay: string;
  readonly requireHome: boolean;
  readonly sizeLimit: number;
  readonly lock: LockSettings;
  readonly strictOwnership: boolean;
  readonly myhostname: string;
}

/** Throws FatalError for settings that contradict each other. */
export async function openSettings(context: ServiceContext, users: UserDatabase): Promise<LocalSettings> {
  const { configuration } = context;
  const text = (name: string): string => configuration.text(name);
  const stack = new AsyncDisposableStack();
  // A pattern must not put a part of somebody's address into a command, a path or the name of a transport.
  const open = async (parameter: string): Promise<Maps> =>
    stack.use(await openMaps(parameter, text(parameter), tableContext(context), SENSITIVE));
  const aliasMaps = await open('alias_maps');
  return {
    aliasTables: aliasMaps.tables.map((table) => ({
      maps: new Maps('alias_maps', `${table.type}:${table.name}`, [table], tableContext(context)),
      rights: ownerOfTable(table.owner.uid, users),
    })),
    mailboxTransportMaps: await open('mailbox_transport_maps'),
    mailboxCommandMaps: await open('mailbox_command_maps'),
    fallbackTransportMaps: await open('fallback_transport_maps'),
    // The default lists the users of the host and aliases, which are known anyway.
    localRecipientMaps: configuration.set('local_recipient_maps')
      ? await open('local_recipient_maps')
      : new Maps('local_recipient_maps', '', [], tableContext(context)),
    owner: mailboxOwner(configuration, users),
    defaultRights: defaultRights(text('default_privs'), users),
    commandsAllowed: new Set(configuration.list('allow_mail_to_commands')),
    filesAllowed: new Set(configuration.list('allow_mail_to_files')),
    deliveredToIn: new Set(configuration.list('prepend_delivered_header')),
    extensionsPropagated: new Set(configuration.list('propagate_unmatched_extensions')),
    recipientDelimiter: text('recipient_delimiter'),
    ownerRequestSpecial: configuration.boolean('owner_request_special'),
    expandOwnerAlias: configuration.boolean('expand_owner_alias'),
    resetOwnerAlias: configuration.boolean('reset_owner_alias'),
    frozenDeliveredTo: configuration.boolean('frozen_delivered_to'),
    originalRecipient: configuration.boolean('enable_original_recipient'),
    duplicateLimit: configuration.integer('duplicate_filter_limit'),
    forwardPath: text('forward_path'),
    forwardFilter: text('forward_expansion_filter'),
    commandFilter: text('command_expansion_filter'),
    directoryFilter: text('execution_directory_expansion_filter'),
    commandDirectory: text('command_execution_directory'),
    commandShell: text('local_command_shell'),
    commandTimeLimit: configuration.seconds('command_time_limit'),
    exported: configuration.list('export_environment', { stripBraces: true }),
    configDirectory: configuration.directory,
    workingDirectory: text('queue_directory'),
    mailboxTransport: text('mailbox_transport'),
    mailboxCommand: text('mailbox_command'),
    fallbackTransport: text('fallback_transport'),
    homeMailbox: text('home_mailbox'),
    spoolDirectory: text('mail_spool_directory'),
    luserRelay: text('luser_relay'),
    requireHome: configuration.boolean('require_home_directory'),
    sizeLimit: sizeLimit(configuration.integer('mailbox_size_limit'), configuration.integer('message_size_limit')),
    lock: lockSettings(configuration, 'mailbox_delivery_lock'),
    strictOwnership: configuration.boolean('strict_mailbox_ownership'),
    myhostname: text('myhostname'),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function sizeLimit(mailbox: number, message: number): number {
  const problem = mailboxLimitProblem('mailbox_size_limit', mailbox, message);
  if (problem !== undefined) throw new FatalError(problem);
  return mailbox;
}

function defaultRights(name: string, users: UserDatabase): Rights {
  const rights = rightsOf(name, users);
  if (rights !== undefined && rights.uid !== 0) return rights;
  // Only the superuser changes to them: where it does not run the service their absence harms nobody.
  if (!canChangeRights()) return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  throw new FatalError(`default_privs = ${name}: expected the name of an unprivileged user`);
}

/** Commands in an alias file run as its owner, those of the superuser's as default_privs. */
function ownerOfTable(uid: number, users: UserDatabase): Rights | undefined {
  const user = uid > 0 ? users.userById(uid) : undefined;
  return user === undefined ? undefined : { uid: user.uid, gid: user.gid };
}
