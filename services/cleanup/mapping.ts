/**
 * Addresses on their way in, in the order of ADDRESS_REWRITING_README: completed by trivial-rewrite, mapped through the
 * canonical tables, masqueraded; then automatic BCC recipients, and virtual aliases for the recipients of the envelope.
 *
 * Rejects with TableError, or what trivial-rewrite says, where something fails for now.
 */
import type { Envelope, Recipient, TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ownAddresses } from '../../lib/config/own-addresses.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { completed, isComplete } from '../../lib/mail/complete-address.ts';
import { LocalDomains } from '../../lib/tables/local-domains.ts';
import { localSite } from '../../lib/tables/local-site.ts';
import type { TableContext } from '../../lib/tables/table.ts';
import type { MaybePromise } from '../../lib/util/maybe-promise.ts';
import { type AutomaticBccContext, automaticBcc, openAutomaticBcc } from './always-bcc.ts';
import { type AddressClass, type CanonicalContext, mapCanonical, openCanonical } from './canonical.ts';
import { type MasqueradeContext, masqueradeClass, openMasquerade } from './masquerade.ts';
import { expandVirtualAlias, openVirtualAlias, type VirtualAliasContext } from './virtual-alias.ts';

/** DSN NOTIFY=NEVER: nobody is told about recipients that nobody named. */
const NOTIFY_NEVER = 1;

export type MappedEnvelope =
  | { readonly ok: true; readonly envelope: Envelope }
  /** An alias expansion without end: try again later. */
  | { readonly ok: false; readonly status: string; readonly reason: string };

export class AddressMapping implements AsyncDisposable {
  readonly #rewrite: TrivialRewrite;
  readonly #localDomains: LocalDomains;
  readonly #canonical: CanonicalContext & AsyncDisposable;
  readonly #masquerade: MasqueradeContext;
  readonly #bcc: AutomaticBccContext & AsyncDisposable;
  readonly #aliases: VirtualAliasContext & AsyncDisposable;
  readonly #hasBcc: boolean;

  private constructor(
    rewrite: TrivialRewrite,
    localDomains: LocalDomains,
    canonical: CanonicalContext & AsyncDisposable,
    masquerade: MasqueradeContext,
    bcc: AutomaticBccContext & AsyncDisposable,
    aliases: VirtualAliasContext & AsyncDisposable,
  ) {
    this.#rewrite = rewrite;
    this.#localDomains = localDomains;
    this.#canonical = canonical;
    this.#masquerade = masquerade;
    this.#bcc = bcc;
    this.#aliases = aliases;
    this.#hasBcc = bcc.alwaysBcc !== '' || !bcc.senderBcc.isEmpty || !bcc.recipientBcc.isEmpty;
  }

  static async open(
    configuration: Configuration,
    tables: TableContext,
    rewrite: TrivialRewrite,
  ): Promise<AddressMapping> {
    const localDomains = await LocalDomains.open(
      { mydestination: configuration.text('mydestination'), ownAddresses: await ownAddresses(configuration) },
      tables,
      { parentDomains: configuration.list('parent_domain_matches_subdomains').includes('mydestination') },
    );
    const lookup = {
      recipientDelimiter: configuration.text('recipient_delimiter'),
      isLocalDomain: localSite(configuration.text('myorigin'), localDomains),
      canonicalize: (address: string) => completed(rewrite, 'local', address),
    };
    return new AddressMapping(
      rewrite,
      localDomains,
      await openCanonical(configuration, tables, lookup),
      await openMasquerade(configuration, tables),
      await openAutomaticBcc(configuration, tables, lookup),
      await openVirtualAlias(configuration, tables, lookup),
    );
  }

  /** Whether anything but completing could change an address of this class. */
  maps(addressClass: AddressClass): boolean {
    return (
      this.#canonical.tables.some(({ maps, classes }) => !maps.isEmpty && classes.has(addressClass)) ||
      (this.#masquerade.domains.length > 0 && this.#masquerade.classes.has(addressClass))
    );
  }

  /** One address, completed by `rule` and mapped. The empty address stays empty. */
  async one(addressClass: AddressClass, rule: 'local' | 'remote', address: string, mapped: boolean): Promise<string> {
    if (address === '') return address;
    const complete = await completed(this.#rewrite, rule, address);
    return mapped ? this.mapped(addressClass, complete) : complete;
  }

  /** An address of a header, as it stands there, in standard form. */
  completeExternal(rule: 'local' | 'remote', address: string): Promise<string> {
    return completed(this.#rewrite, rule, address, true);
  }

  /** A complete address after canonical tables and masquerading. */
  async mapped(addressClass: AddressClass, address: string): Promise<string> {
    if (address === '' || !this.maps(addressClass)) return address;
    return masqueradeClass(this.#masquerade, addressClass, await mapCanonical(this.#canonical, addressClass, address));
  }

  /** The envelope; where `mapped` is false its addresses are only completed. */
  envelope(envelope: Envelope, mapped: boolean): MaybePromise<MappedEnvelope> {
    const untouched =
      !this.#hasBcc && this.#aliases.maps.isEmpty && !this.maps('envelope_sender') && !this.maps('envelope_recipient');
    const complete =
      (envelope.sender === '' || isComplete(envelope.sender)) &&
      envelope.recipients.every(({ address }) => isComplete(address));
    return complete && (untouched || !mapped) ? { ok: true, envelope } : this.#change(envelope, mapped);
  }

  async #change(envelope: Envelope, mapped: boolean): Promise<MappedEnvelope> {
    const sender = await this.one('envelope_sender', 'local', envelope.sender, mapped);
    const recipients: Recipient[] = [];
    for (const recipient of envelope.recipients) {
      recipients.push(withAddress(recipient, await this.one('envelope_recipient', 'local', recipient.address, mapped)));
    }
    if (!mapped) return { ok: true, envelope: { ...envelope, sender, recipients } };
    if (this.#hasBcc) recipients.push(...(await this.#automatic(sender, recipients)));
    const expanded: Recipient[] = [];
    for (const recipient of recipients) {
      const expansion = await expandVirtualAlias(this.#aliases, recipient.address);
      if (!expansion.ok) return expansion;
      expanded.push(...expansion.recipients.map((address) => withAddress(recipient, address)));
    }
    return { ok: true, envelope: { ...envelope, sender, recipients: expanded } };
  }

  async #automatic(sender: string, recipients: readonly Recipient[]): Promise<Recipient[]> {
    const addresses = await automaticBcc(
      this.#bcc,
      sender,
      recipients.map(({ address }) => address),
    );
    const named: Recipient[] = [];
    for (const address of addresses) {
      const mapped = await this.one('envelope_recipient', 'local', address, true);
      named.push({ address: mapped, originalAddress: '', dsnOriginalRecipient: '', dsnNotify: NOTIFY_NEVER });
    }
    return named;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of [this.#localDomains, this.#canonical, this.#masquerade, this.#bcc, this.#aliases])
      await part[Symbol.asyncDispose]();
  }
}

/** The recipient under another address; what it was called first is kept. */
function withAddress(recipient: Recipient, address: string): Recipient {
  if (address === recipient.address) return recipient;
  return {
    ...recipient,
    address,
    originalAddress: recipient.originalAddress === '' ? recipient.address : recipient.originalAddress,
  };
}
