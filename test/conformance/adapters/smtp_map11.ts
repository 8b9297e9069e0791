/** smtp_map11: generic mapping of addresses; `maps M` opens tables, `external|internal|tree ADDR` maps an address. */
import { quote822Local, unquote822Local } from '../../../lib/mail/quote822.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { type GenericContext, mapGeneric } from '../../../services/smtp/generic.ts';
import { adapterContext, inputLines, printLines } from '../support/tables.ts';

const DOMAIN = 'localdomain';
const tables = adapterContext('smtp_map11');

async function open(specs: string): Promise<GenericContext> {
  return {
    maps: await openMaps('test', specs, tables),
    lookup: {
      recipientDelimiter: '+',
      propagateExtension: true,
      isLocalDomain: () => false,
      canonicalize: (address) => (address.includes('@') ? address : `${address}@${DOMAIN}`),
    },
    tokenLimit: 10_240,
    warn: (text) => tables.warn(text),
  };
}

async function answer(context: GenericContext, form: string, address: string): Promise<string> {
  const internal = form === 'internal';
  try {
    const mapped = await mapGeneric(context, internal ? address : unquote822Local(address));
    if (mapped === undefined) return '(no match)';
    return internal ? mapped : quote822Local(mapped);
  } catch (error) {
    if (error instanceof TableError) return '(error)';
    throw error;
  }
}

/** Lines with their continuations, without comments and empty lines. */
function commands(): string[] {
  const lines: string[] = [];
  for (const line of inputLines()) {
    if (line.startsWith('#') || line.trim() === '') continue;
    if (/^\s/.test(line)) lines.push(`${lines.pop() ?? ''}${line}`);
    else lines.push(line);
  }
  return lines;
}

let context: GenericContext | undefined;
for (const line of commands()) {
  const blank = line.indexOf(' ');
  const [command, argument] = [line.slice(0, blank), line.slice(blank + 1)];
  if (command === 'maps') {
    printLines(argument);
    context = await open(argument);
  } else if (context !== undefined) {
    printLines(`${command}:${argument} -> ${await answer(context, command, argument)}`);
  }
}
