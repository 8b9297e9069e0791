/** What virtual(8) reads from main.cf, compiled once, and the tables that it opens. */
import { mailboxLimitProblem } from '../../lib/delivery/mailbox-limit.ts';
import type { LockSettings } from '../../lib/delivery/mailbox-order.ts';
import { lockSettings, type MailboxOwner, mailboxOwner } from '../../lib/delivery/mailbox-settings.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { tableContext } from '../../lib/server/table-context.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import { SENSITIVE } from '../../lib/tables/table.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { UserDatabase } from '../../lib/util/passwd.ts';

export const VIRTUAL_PARAMETERS = [
  'message_size_limit',
  'virtual_gid_maps',
  'virtual_mailbox_base',
  'virtual_mailbox_limit',
  'virtual_mailbox_lock',
  'virtual_mailbox_maps',
  'virtual_minimum_uid',
  'virtual_uid_maps',
];

export interface VirtualSettings extends AsyncDisposable {
  readonly owner: MailboxOwner;
  /** virtual_mailbox_base, without trailing slash. */
  readonly base: string;
  readonly sizeLimit: number;
  readonly minimumUid: number;
  readonly lock: LockSettings;
  readonly strictOwnership: boolean;
  readonly originalRecipient: boolean;
  readonly recipientDelimiter: string;
  readonly myhostname: string;
  readonly mailboxMaps: Maps;
  readonly uidMaps: Maps;
  readonly gidMaps: Maps;
}

/** Throws FatalError for settings that contradict each other. */
export async function openSettings(context: ServiceContext): Promise<VirtualSettings> {
  const { configuration } = context;
  const owner = mailboxOwner(configuration, new UserDatabase());
  const sizeLimit = configuration.integer('virtual_mailbox_limit');
  const problem = mailboxLimitProblem('virtual_mailbox_limit', sizeLimit, configuration.integer('message_size_limit'));
  if (problem !== undefined) throw new FatalError(problem);
  const stack = new AsyncDisposableStack();
  const open = async (parameter: string): Promise<Maps> =>
    stack.use(await openMaps(parameter, configuration.text(parameter), tableContext(context), SENSITIVE));
  return {
    owner,
    base: configuration.text('virtual_mailbox_base').replace(/\/+$/, ''),
    sizeLimit,
    minimumUid: configuration.integer('virtual_minimum_uid'),
    lock: lockSettings(configuration, 'virtual_mailbox_lock'),
    strictOwnership: configuration.boolean('strict_mailbox_ownership'),
    originalRecipient: configuration.boolean('enable_original_recipient'),
    recipientDelimiter: configuration.text('recipient_delimiter'),
    myhostname: configuration.text('myhostname'),
    mailboxMaps: await open('virtual_mailbox_maps'),
    uidMaps: await open('virtual_uid_maps'),
    gidMaps: await open('virtual_gid_maps'),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
