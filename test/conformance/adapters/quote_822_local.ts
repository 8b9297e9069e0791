/** Conformance adapter: quoting of address local parts, a command per line. */
import { readFileSync } from 'node:fs';
import { quote822Local, unquote822Local } from '../../../lib/mail/quote822.ts';

for (const line of readFileSync(0, 'latin1').split('\n')) {
  const [command = '', ...rest] = line.split(' ');
  const flags = command === 'quote_with_flags' ? (rest.shift() ?? '') : '';
  const text = rest.join(' ');
  const address = text === '<>' ? '' : text;
  if (command === 'quote') print(`'${address}' quoted '${quote822Local(address)}'`);
  else if (command === 'unquote') print(`'${address}' unquoted '${unquote822Local(address)}'`);
  else if (command === 'quote_with_flags') {
    const set = new Set(flags.split('|'));
    const quoted = quote822Local(address, {
      eightBitClean: set.has('8bitclean'),
      exposeAt: set.has('expose_at'),
      bareLocalpart: set.has('bare_localpart'),
    });
    print(`'${address}' quoted flags=${flags} '${quoted}'`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`, 'latin1');
}
