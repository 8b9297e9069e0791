/** The tables that main.cf approves for proxymap(8): those that it lists as `proxy:type:name`. Pure. */
import { COMMA_OR_BLANK, splitOutsideBraces, unbrace } from '../../lib/util/split.ts';

const PREFIX = 'proxy:';

/**
 * The `type:name` of every `proxy:type:name` in a text that may hold anything besides: other tables, names, restrictions, and
 * all of these once more in braces.
 */
export function approvedTables(text: string): ReadonlySet<string> {
  const approved = new Set<string>();
  collect(text, approved);
  return approved;
}

function collect(text: string, approved: Set<string>): void {
  for (const item of splitOutsideBraces(text, COMMA_OR_BLANK)) {
    if (item.startsWith('{')) {
      collect(unbrace(item).text, approved);
      continue;
    }
    // In a match list it may stand behind "not".
    let spec = item.replace(/^!+/, '');
    if (!spec.startsWith(PREFIX)) continue;
    while (spec.startsWith(PREFIX)) spec = spec.slice(PREFIX.length);
    if (spec.indexOf(':') > 0) approved.add(spec);
  }
}
