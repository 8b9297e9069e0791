/** `$user`, `$home` and the like in forward_path, luser_relay and command_execution_directory. Pure. */
import { expand } from '../../lib/config/expand.ts';
import type { User } from '../../lib/util/passwd.ts';
import type { LocalRecipient } from './recipient.ts';

/** Expands; characters of values that are not in `allowed` become `_`. Names that stand for nothing are undefined. */
export function expandForRecipient(
  text: string,
  recipient: LocalRecipient,
  user: User | undefined,
  allowed?: string,
): string {
  const values: Readonly<Record<string, string | undefined>> = {
    user: recipient.user,
    home: user?.home,
    shell: user?.shell,
    recipient: recipient.address,
    extension: recipient.extension,
    domain: recipient.domain,
    local: recipient.local,
    recipient_delimiter: recipient.delimiter === '' ? undefined : recipient.delimiter,
  };
  return expand(text, {
    lookup: (name) => (Object.hasOwn(values, name) ? values[name] : undefined),
    recursive: false,
    ...(allowed === undefined ? {} : { filter: (value: string) => keepOnly(value, allowed) }),
  }).text;
}

/** The text with `_` in place of every character that is not allowed. */
export function keepOnly(text: string, allowed: string): string {
  let result = '';
  for (const char of text) result += allowed.includes(char) ? char : '_';
  return result;
}
