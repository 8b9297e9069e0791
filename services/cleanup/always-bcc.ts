/**
 * Recipients that are added to mail from outside: always_bcc, sender_bcc_maps and recipient_bcc_maps (postconf(5),
 * ADDRESS_REWRITING_README). They are added with NOTIFY=NONE, and only to mail that is new: not to notices, nor to mail
 * that local(8) forwards; the caller knows which it has.
 *
 * Rejects with TableError on a temporary failure.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { type AddressLookupOptions, findAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';

export const AUTOMATIC_BCC_PARAMETERS = ['always_bcc', 'sender_bcc_maps', 'recipient_bcc_maps'] as const;

export interface AutomaticBccContext {
  /** Empty where there is none. */
  readonly alwaysBcc: string;
  readonly senderBcc: Maps;
  readonly recipientBcc: Maps;
  readonly lookup: AddressLookupOptions;
}

/** Opens the tables. What cannot be opened fails its look-ups. */
export async function openAutomaticBcc(
  configuration: Configuration,
  tables: TableContext,
  lookup: AddressLookupOptions,
): Promise<AutomaticBccContext & AsyncDisposable> {
  const senderBcc = await openMaps('sender_bcc_maps', configuration.text('sender_bcc_maps'), tables);
  const recipientBcc = await openMaps('recipient_bcc_maps', configuration.text('recipient_bcc_maps'), tables);
  return {
    alwaysBcc: configuration.text('always_bcc'),
    senderBcc,
    recipientBcc,
    lookup,
    [Symbol.asyncDispose]: async () => {
      await senderBcc.close();
      await recipientBcc.close();
    },
  };
}

/**
 * The addresses to add, in internal form, each once, in the order always_bcc, sender, recipients. They are as written in
 * main.cf and the tables: the caller completes and maps them as it does with other recipients.
 */
export async function automaticBcc(
  context: AutomaticBccContext,
  sender: string,
  recipients: readonly string[],
): Promise<string[]> {
  const { alwaysBcc, senderBcc, recipientBcc, lookup } = context;
  const added = new Set<string>();
  if (alwaysBcc !== '') added.add(alwaysBcc);
  if (sender !== '' && !senderBcc.isEmpty) await addMatch(added, senderBcc, sender, lookup);
  if (!recipientBcc.isEmpty) {
    for (const recipient of recipients) await addMatch(added, recipientBcc, recipient, lookup);
  }
  return [...added];
}

async function addMatch(added: Set<string>, maps: Maps, address: string, lookup: AddressLookupOptions): Promise<void> {
  const match = await findAddress(maps, address, { ...lookup, outputForm: 'internal' });
  if (match !== undefined) added.add(match.value);
}
