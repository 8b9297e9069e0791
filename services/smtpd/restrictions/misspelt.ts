/**
 * Misspelt names of restrictions that guides have spread: each is read as the restriction that it means, with a warning.
 * To refuse every client of a server whose postmaster followed such a guide would help nobody.
 */

const PRESENT: ReadonlyMap<string, string> = new Map([
  ['check_client_address', 'check_client_access'],
  ['check_helo_address', 'check_helo_access'],
  ['check_sender_address', 'check_sender_access'],
  ['check_recipient_address', 'check_recipient_access'],
  ['permit_mynetwork', 'permit_mynetworks'],
  ['permit_sasl_authenicated', 'permit_sasl_authenticated'],
  ['reject_non_fqnd_hostname', 'reject_non_fqdn_helo_hostname'],
  ['reject_non_fqnd_helo_hostname', 'reject_non_fqdn_helo_hostname'],
  ['reject_non_fqnd_sender', 'reject_non_fqdn_sender'],
  ['reject_non_fqnd_recipient', 'reject_non_fqdn_recipient'],
  ['reject_unauth_destinations', 'reject_unauth_destination'],
  ['reject_unauth_piplining', 'reject_unauth_pipelining'],
]);

/** The name of the restriction that a word means, in small letters; the word itself where it is no misspelling. */
export function restrictionName(word: string, warn: (text: string) => void = () => undefined): string {
  const name = word.toLowerCase();
  const present = PRESENT.get(name);
  if (present === undefined) return name;
  warn(`restriction "${word}" is misspelt; it is read as "${present}"; specify that instead`);
  return present;
}
