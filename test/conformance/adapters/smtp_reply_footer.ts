/** smtp_reply_footer: replies and footer templates, as JSON. */
import { readFileSync } from 'node:fs';
import { addReplyFooter } from '../../../lib/smtp/reply-footer.ts';

const cases: { reply: string; template: string | null }[] = JSON.parse(readFileSync(0, 'utf8'));
const results = cases.map(({ reply, template }) => {
  const result = addReplyFooter(reply, template ?? undefined, () => 'DUMMY');
  return 'error' in result ? { error: result.error, reply: null } : { error: null, reply: result.reply };
});
process.stdout.write(JSON.stringify(results));
