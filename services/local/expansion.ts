/**
 * From a recipient to what is to be done for it: aliases, .forward and :include: files expanded into mailboxes, commands,
 * files and addresses to forward to. See local(8), SYSTEM-WIDE AND USER-LEVEL ALIASING.
 *
 * An alias or .forward file that names one local address is followed here. Where there are more addresses, where they come
 * from an :include: file, or where an owner- alias changes the sender, they are submitted as a new message with a row
 * for each, as Postfix does for aliases with an owner: one member's trouble then never repeats the others' mail.
 *
 * Loops: a name that stands in its own alias is delivered to the user of that name; longer circles, and a message
 * that has the recipient in a Delivered-To: header, bounce. Depth, number of destinations and size of files are bounded.
 *
 * Reads files, with the rights of the user whose they are.
 */
import type { DeliveryRecipient, TrivialRewrite } from '../../lib/clients/protocols.ts';
import { failureOf } from '../../lib/delivery/failure-of.ts';
import type { MailboxWriters } from '../../lib/delivery/mailbox-writers.ts';
import type { Message } from '../../lib/delivery/message.ts';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import { TableError } from '../../lib/tables/table.ts';
import type { Log } from '../../lib/util/log.ts';
import type { User, UserDatabase } from '../../lib/util/passwd.ts';
import { findAlias, lookupAlias } from './alias.ts';
import { type Destination, parseDestinationLines, parseDestinations } from './destination.ts';
import { readForwardFile } from './forward-file.ts';
import type { Plan, Situation } from './plan.ts';
import { type LocalRecipient, localRecipient } from './recipient.ts';
import type { LocalSettings } from './settings.ts';

const MAXIMUM_DEPTH = 100;
/** Octets of an :include: file. */
const INCLUDE_LIMIT = 16_777_216;
/** A list that is longer is not searched for a member that is to be delivered here. */
const RESOLVE_LIMIT = 1000;

export interface ExpansionParts {
  readonly settings: LocalSettings;
  readonly users: UserDatabase;
  readonly writers: MailboxWriters;
  readonly rewrite: () => TrivialRewrite;
  readonly log: Log;
  /** The transport that this service is: what resolves to it is delivered here. */
  readonly transport: string;
  readonly message: Message;
  readonly signal: AbortSignal;
}

/** Expands one recipient of a request. */
export async function planDelivery(parts: ExpansionParts, recipient: DeliveryRecipient, sender: string): Promise<Plan> {
  const expansion = new Expansion(parts);
  const situation: Situation = {
    sender,
    owned: false,
    origin: undefined,
    rights: undefined,
    aliases: [],
    forwards: [],
    depth: 0,
    deliveredTo: recipient.address,
  };
  await expansion.deliver(localRecipient(recipient.address, parts.settings), situation);
  return expansion.plan;
}

/** luser_relay: the value is delivered to like that of an alias. */
export async function planRelay(
  parts: ExpansionParts,
  value: string,
  recipient: LocalRecipient,
  above: Situation,
): Promise<Plan> {
  const expansion = new Expansion(parts);
  // The recipient is known to have neither alias nor mailbox: finding it again would go round in a circle.
  const situation: Situation = {
    ...above,
    origin: 'alias',
    depth: above.depth + 1,
    aliases: [...above.aliases, recipient.user],
  };
  await expansion.deliverAll(parseDestinations(value), recipient, situation, undefined);
  return expansion.plan;
}

class Expansion {
  readonly plan: Plan = { actions: [], forwards: new Map(), failures: [] };
  readonly #parts: ExpansionParts;
  /** What was planned already: a destination that is reached by two ways gets one copy. */
  readonly #seen = new Set<string>();

  constructor(parts: ExpansionParts) {
    this.#parts = parts;
  }

  #fail(recipient: LocalRecipient, status: string, reason: string): void {
    this.plan.failures.push({ address: recipient.address, dsn: failureOf(status, reason) });
  }

  /** True the first time. Beyond duplicate_filter_limit nothing is remembered. */
  #firstTime(key: string): boolean {
    if (this.#seen.has(key)) return false;
    const limit = this.#parts.settings.duplicateLimit;
    if (limit === 0 || this.#seen.size < limit) this.#seen.add(key);
    return true;
  }

  /** A local recipient, at any level. */
  async deliver(recipient: LocalRecipient, situation: Situation): Promise<void> {
    if (situation.depth > MAXIMUM_DEPTH) {
      this.#fail(recipient, '5.4.6', `unreasonable nesting of aliases and .forward files for ${recipient.user}`);
    } else if (await this.#parts.message.wasDeliveredTo(recipient.address)) {
      this.#fail(recipient, '5.4.6', `mail forwarding loop for ${recipient.address}`);
    } else if (!(await this.#deliverToAlias(recipient, situation))) {
      await this.#deliverToUser(recipient, situation);
    }
  }

  /** False where the name is no alias, or stands in its own expansion. */
  async #deliverToAlias(recipient: LocalRecipient, above: Situation): Promise<boolean> {
    const { settings, log } = this.#parts;
    try {
      const alias = await findAlias(settings, recipient);
      if (alias === undefined || above.aliases.at(-1) === alias.name) return false;
      if (above.aliases.includes(alias.name)) {
        log.warning(`alias database loop for ${alias.name}`);
        this.#fail(recipient, '5.4.6', `alias database loop for ${alias.name}`);
        return true;
      }
      const destinations = parseDestinations(alias.value);
      if (destinations.length === 0) {
        log.warning(`alias ${alias.name} has no destination`);
        this.#fail(recipient, '4.3.5', 'mail system configuration error');
        return true;
      }
      const owner = await this.#owner(alias.name, above);
      const situation: Situation = {
        ...above,
        ...owner,
        origin: 'alias',
        // In a user's own .forward file an alias keeps the user's rights.
        rights: above.rights ?? alias.rights,
        aliases: [...above.aliases, alias.name],
        depth: above.depth + 1,
      };
      const extension = settings.extensionsPropagated.has('alias') ? alias.unmatchedExtension : undefined;
      await this.deliverAll(destinations, recipient, situation, extension);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      this.#fail(recipient, '4.3.0', 'alias database unavailable');
    }
    return true;
  }

  /** The envelope sender that an alias `owner-name` beside the alias makes. */
  async #owner(name: string, above: Situation): Promise<Pick<Situation, 'sender' | 'owned'>> {
    const { settings, signal } = this.#parts;
    const ownerName = `owner-${name}`;
    // Mail to the owner itself, and mail without a sender, keep the sender.
    const found =
      settings.ownerRequestSpecial && !name.startsWith('owner-') && above.sender !== ''
        ? await lookupAlias(settings, ownerName, false)
        : undefined;
    if (found === undefined) return { sender: above.sender, owned: above.owned && !settings.resetOwnerAlias };
    const [first] = settings.expandOwnerAlias ? parseDestinations(found.value) : [];
    const address = first?.kind === 'address' ? first.address : ownerName;
    const [rewritten = address] = await this.#parts
      .rewrite()
      .rewrite([{ rule: 'local', address, external: false }], signal);
    return { sender: rewritten, owned: true };
  }

  async #deliverToUser(recipient: LocalRecipient, situation: Situation): Promise<void> {
    const user = this.#parts.users.user(recipient.user);
    const forward = user === undefined ? undefined : await readForwardFile(this.#parts, recipient, user);
    if (forward === 'later') {
      this.#fail(recipient, '4.3.0', `cannot read the .forward file of ${recipient.user}`);
      return;
    }
    // A file that is being expanded names its own user: that stands for the mailbox.
    if (user === undefined || forward === undefined || situation.forwards.includes(forward.path)) {
      this.#addMailbox(recipient, user, situation);
      return;
    }
    const above: Situation = {
      ...situation,
      origin: 'forward',
      rights: { uid: user.uid, gid: user.gid },
      forwards: [...situation.forwards, forward.path],
      depth: situation.depth + 1,
      ...(this.#parts.settings.frozenDeliveredTo ? {} : { deliveredTo: recipient.address }),
    };
    const propagated = this.#parts.settings.extensionsPropagated.has('forward') && !forward.extensionMatched;
    const extension = recipient.extension === undefined ? undefined : recipient.delimiter + recipient.extension;
    await this.deliverAll(forward.destinations, recipient, above, propagated ? extension : undefined);
  }

  #addMailbox(recipient: LocalRecipient, user: User | undefined, situation: Situation): void {
    if (!this.#firstTime(`mailbox ${recipient.user}`)) return;
    this.plan.actions.push({ kind: 'mailbox', recipient, user, situation });
  }

  /** The destinations of one alias, .forward or :include: file. */
  async deliverAll(
    destinations: readonly Destination[],
    recipient: LocalRecipient,
    situation: Situation,
    extension: string | undefined,
  ): Promise<void> {
    const addresses: string[] = [];
    for (const destination of destinations) {
      switch (destination.kind) {
        case 'command':
        case 'file':
          this.#addExternal(destination, recipient, situation);
          break;
        case 'include':
          await this.#include(destination.path, recipient, situation);
          break;
        case 'mailbox': {
          const named = localRecipient(`${destination.user}@${recipient.domain}`, this.#parts.settings);
          this.#addMailbox(named, this.#parts.users.user(named.user), situation);
          break;
        }
        case 'address':
          addresses.push(destination.address);
      }
    }
    if (addresses.length > 0) await this.#addAddresses(addresses, recipient, situation, extension);
  }

  #addExternal(
    destination: Destination & { kind: 'command' | 'file' },
    recipient: LocalRecipient,
    situation: Situation,
  ): void {
    const { commandsAllowed, filesAllowed } = this.#parts.settings;
    const allowed = destination.kind === 'command' ? commandsAllowed : filesAllowed;
    if (!allowed.has(situation.origin ?? 'alias')) {
      this.#fail(recipient, '5.7.1', `mail to ${destination.kind} is restricted`);
      return;
    }
    const what = destination.kind === 'command' ? destination.command : destination.path;
    if (!this.#firstTime(`${destination.kind} ${situation.rights?.uid} ${what}`)) return;
    const user = situation.origin === 'forward' ? this.#parts.users.user(recipient.user) : undefined;
    this.plan.actions.push({ ...destination, recipient, situation, user });
  }

  async #include(path: string, recipient: LocalRecipient, above: Situation): Promise<void> {
    const { settings, writers, users, log } = this.#parts;
    if (above.depth > MAXIMUM_DEPTH) {
      this.#fail(recipient, '5.4.6', `unreasonable nesting of :include: files for ${recipient.user}`);
      return;
    }
    if (!path.startsWith('/')) {
      log.warning(`:include:${path} uses a relative path`);
      this.#fail(recipient, '5.3.5', 'mail system configuration error');
      return;
    }
    if (!this.#firstTime(`include ${path}`)) return;
    const reader = settings.owner === 'recipient' ? (above.rights ?? settings.defaultRights) : undefined;
    const file = await writers.readFile(reader, path, INCLUDE_LIMIT);
    if (file.found !== 'file') {
      const why =
        file.found === 'error' ? file.reason : `unable to lookup :include: file ${path}: No such file or directory`;
      log.warning(why);
      this.#fail(recipient, file.found === 'error' ? '4.3.0' : '5.3.5', 'mail system configuration error');
      return;
    }
    const owner = file.uid === 0 ? undefined : users.userById(file.uid);
    const situation: Situation = {
      ...above,
      origin: 'include',
      // Who can write the file says what it does, and no more than that user could do.
      rights: owner === undefined ? above.rights : { uid: owner.uid, gid: owner.gid },
      depth: above.depth + 1,
    };
    await this.deliverAll(parseDestinationLines(file.data.toString('utf8')), recipient, situation, undefined);
  }

  async #addAddresses(
    addresses: readonly string[],
    recipient: LocalRecipient,
    situation: Situation,
    extension: string | undefined,
  ): Promise<void> {
    const { settings, signal } = this.#parts;
    const complete = await this.#parts.rewrite().rewrite(
      addresses.map((address) => ({ rule: 'local', address: withExtension(address, extension), external: false })),
      signal,
    );
    const single = complete.length === 1 && situation.origin !== 'include' && !situation.owned;
    if (situation.origin === 'include' || complete.length > RESOLVE_LIMIT) {
      for (const address of complete) this.#addForward(address, situation);
      return;
    }
    const replies = await this.#parts.rewrite().resolve(
      complete.map((address) => ({ kind: 'resolve', sender: situation.sender, address })),
      signal,
    );
    for (const [index, reply] of replies.entries()) {
      const address = complete[index]!;
      if ((reply.flags & ResolveFlag.FAIL) !== 0) {
        this.#fail(recipient, '4.3.0', `address resolver failure for ${address}`);
        continue;
      }
      const here = (reply.flags & ResolveFlag.ERROR) === 0 && reply.transport === this.#parts.transport;
      const target = localRecipient(reply.recipient, settings);
      // Its own name in an alias or .forward file stands for the mailbox.
      const itself =
        here && target.user === recipient.user && (situation.origin === 'forward' || target.name === recipient.name);
      if (here && (single || itself)) await this.#follow(target, situation);
      else this.#addForward(address, situation);
    }
  }

  async #follow(target: LocalRecipient, situation: Situation): Promise<void> {
    const { frozenDeliveredTo } = this.#parts.settings;
    await this.deliver(target, frozenDeliveredTo ? situation : { ...situation, deliveredTo: target.address });
  }

  #addForward(address: string, { sender }: Situation): void {
    const addresses = this.plan.forwards.get(sender) ?? new Set();
    addresses.add(address);
    this.plan.forwards.set(sender, addresses);
  }
}

/** `user@domain` with an extension that is carried over to it. */
function withExtension(address: string, extension: string | undefined): string {
  if (extension === undefined) return address;
  const at = address.lastIndexOf('@');
  return at < 0 ? address + extension : address.slice(0, at) + extension + address.slice(at);
}
