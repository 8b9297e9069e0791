/**
 * Text that is added to replies (postconf(5), smtpd_reject_footer): further lines with the code and enhanced status of the
 * reply, or with `\c` in front a continuation of its last line. `\n` in the template begins another line, and `$name`
 * stands for an attribute of the session.
 *
 * Pure.
 */
import { expand } from '../config/expand.ts';
import { enhancedStatusLength } from '../mail/enhanced-status.ts';

export type FooterResult = { readonly reply: string } | { readonly error: 'bad-smtp' | 'bad-macro' };

const CONTINUED = '\\c';

/** The reply with the footer; lines are separated by CRLF, and end with one where the reply did. */
export function addReplyFooter(
  reply: string,
  template: string | undefined,
  attribute: (name: string) => string | undefined,
): FooterResult {
  const ended = reply.endsWith('\r\n');
  const lines = (ended ? reply.slice(0, -2) : reply).split('\r\n');
  if (!lines.every((line) => /^\d{3}(?:[ -]|$)/.test(line))) return { error: 'bad-smtp' };
  if (template === undefined) return { reply };
  const last = lines[lines.length - 1]!;
  const code = last.slice(0, 3);
  const statusLength = enhancedStatusLength(last.slice(4));
  const prefix = statusLength === 0 ? '' : `${last.slice(4, 4 + statusLength)} `;
  const expansion = expand(template, { lookup: attribute, recursive: false });
  if (expansion.malformed) return { error: 'bad-macro' };
  const texts = expansion.text.split('\\n');
  if (texts[0]!.startsWith(CONTINUED)) lines[lines.length - 1] = last + texts.shift()!.slice(CONTINUED.length);
  for (const text of texts) lines.push(`${code} ${prefix}${text}`);
  const whole = lines.map((line, at) => (at < lines.length - 1 ? `${line.slice(0, 3)}-${line.slice(4)}` : line));
  return { reply: whole.join('\r\n') + (ended ? '\r\n' : '') };
}
