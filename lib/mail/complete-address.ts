/**
 * Addresses in standard form: nearly all mail has no others, and what is complete costs no rewriting. What is not is
 * brought there by trivial-rewrite(8), whose failures pass.
 */

/** A dot-atom without routing characters, and a domain of at least two plain labels. */
const COMPLETE = /^[\w+=\-/'~#$&*?^`{}]+(?:\.[\w+=\-/'~#$&*?^`{}]+)*@[a-z\d-]+(?:\.[a-z\d-]+)+$/i;

/** Needs the address (in internal form) no rewriting in any context? */
export function isComplete(address: string): boolean {
  return COMPLETE.test(address);
}

/** trivial-rewrite(8), as far as it is needed here. */
export interface AddressRewriter {
  rewrite(requests: { rule: string; address: string; external: boolean }[]): Promise<string[]>;
}

/** The address in standard form. `external`: it is given, and wanted, as it stands in a header. */
export async function completed(
  rewrite: AddressRewriter,
  rule: 'local' | 'remote',
  address: string,
  external = false,
): Promise<string> {
  if (isComplete(address)) return address;
  return (await rewrite.rewrite([{ rule, address, external }]))[0] ?? address;
}
