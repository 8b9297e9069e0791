/**
 * The limit of a mailbox beside that of a message: a mailbox that could not take one message would send all mail of that size
 * back (local(8) and virtual(8) of Postfix refuse to start with it). Pure.
 */

/** What is wrong with the limit of a mailbox that `parameter` sets, in octets, 0 for none; undefined where nothing is. */
export function mailboxLimitProblem(parameter: string, mailbox: number, message: number): string | undefined {
  if (mailbox === 0 || (message !== 0 && mailbox >= message)) return undefined;
  return `${parameter} = ${mailbox} is smaller than message_size_limit = ${message === 0 ? 'unlimited' : message}`;
}
