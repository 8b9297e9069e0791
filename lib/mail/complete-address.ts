/**
 * Whether an address is in standard form already: nearly all mail has no others, and what is complete costs no rewriting.
 * Pure.
 */

/** A dot-atom without routing characters, and a domain of at least two plain labels. */
const COMPLETE = /^[\w+=\-/'~#$&*?^`{}]+(?:\.[\w+=\-/'~#$&*?^`{}]+)*@[a-z\d-]+(?:\.[a-z\d-]+)+$/i;

/** Needs the address (in internal form) no rewriting in any context? */
export function isComplete(address: string): boolean {
  return COMPLETE.test(address);
}
