/**
 * Addresses of the envelope on their way in: completed by trivial-rewrite where the message originates here or the
 * address lacks a domain, then mapped through canonical and virtual alias tables (cleanup(8), ADDRESS_REWRITING_README).
 */
import type { Envelope, TrivialRewrite } from '../../lib/clients/protocols.ts';

export interface AddressMapping {
  /** The envelope with its addresses mapped. Rejects with TableError where a table fails for now. */
  map(envelope: Envelope): Promise<Envelope>;
}

/** True where rewriting would leave the address as it is: one `@` and a domain with a dot, and no other routing character. */
export function isComplete(address: string): boolean {
  const at = address.indexOf('@');
  if (at <= 0 || address.indexOf('.', at + 2) < 0) return false;
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index);
    // "!", "%", a second "@", blanks, quotes, and anything that is not plain ASCII take the long way.
    if (code <= 0x22 || code === 0x25 || code === 0x5c || code >= 0x7f || (code === 0x40 && index !== at)) return false;
  }
  return address.charCodeAt(address.length - 1) !== 0x2e && address.charCodeAt(at + 1) !== 0x5b;
}

/** Completes addresses; what is complete costs nothing. */
export function rewriteMapping(rewrite: TrivialRewrite): AddressMapping {
  return {
    async map(envelope) {
      const addresses = [envelope.sender, ...envelope.recipients.map(({ address }) => address)];
      const open = addresses
        .map((address, index) => ({ address, index }))
        .filter(({ address }) => address !== '' && !isComplete(address));
      if (open.length === 0) return envelope;
      // Envelope addresses are always completed with $myorigin; only header addresses follow the client's context.
      const results = await rewrite.rewrite(open.map(({ address }) => ({ rule: 'local', address })));
      open.forEach(({ index }, at) => {
        addresses[index] = results[at] ?? addresses[index]!;
      });
      const recipients = envelope.recipients.map((recipient, index) => {
        const address = addresses[index + 1]!;
        if (address === recipient.address) return recipient;
        return {
          ...recipient,
          address,
          originalAddress: recipient.originalAddress === '' ? recipient.address : recipient.originalAddress,
        };
      });
      return { ...envelope, sender: addresses[0]!, recipients };
    },
  };
}
