/**
 * Recipients that are added to mail from outside: always_bcc, sender_bcc_maps and recipient_bcc_maps (postconf(5),
 * ADDRESS_REWRITING_README). They are added with NOTIFY=NONE, and only to mail that is new: not to notices, nor to mail
 * that local(8) forwards; the caller knows which it has.
 *
 * Rejects with TableError on a temporary failure.
 */
import { type AddressLookupOptions, findAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';

export interface AutomaticBccContext {
  /** Empty where there is none. */
  readonly alwaysBcc: string;
  readonly senderBcc: Maps;
  readonly recipientBcc: Maps;
  readonly lookup: AddressLookupOptions;
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
