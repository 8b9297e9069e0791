/**
 * smtpd_expansion_filter: which characters of what a remote party said may stand in a reply that is made from a template;
 * others become `_`. The parameter may hold C escapes (`\t`, `\40`).
 */

/** A function that replaces what the filter does not name. */
export function expansionFilter(text: string): (value: string) => string {
  const allowed = new Set(withoutEscapes(text));
  return (value) => {
    let safe = '';
    for (const character of value) safe += allowed.has(character) ? character : '_';
    return safe;
  };
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

function withoutEscapes(text: string): string {
  return text.replace(/\\([0-7]{1,3}|.)/gs, (_whole, code: string) =>
    /^[0-7]+$/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code),
  );
}
