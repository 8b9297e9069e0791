/** header_body_checks HEADER MIME NESTED BODY: the MIME walk with the four tables applied to each line. */
import {
  type CheckLog,
  type CheckResult,
  checkLine,
  headerTable,
  type LineLookup,
} from '../../../lib/mail/header-body-checks.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { headerLabel, mimeTestOptions, print, printable, walkMessage } from '../support/mime.ts';
import { adapterContext } from '../support/tables.ts';

const PROGRAM = 'header_body_checks';
const CONTENT_SIZE = 200;

const [header = '', mimeHeader = '', nestedHeader = '', body = ''] = process.argv.slice(2);
const checks = {
  header: await lookupIn('header_checks', header),
  mimeHeader: await lookupIn('mime_header_checks', mimeHeader),
  nestedHeader: await lookupIn('nested_header_checks', nestedHeader),
  body: await lookupIn('body_checks', body),
};

async function lookupIn(parameter: string, specs: string): Promise<LineLookup | undefined> {
  if (specs === '') return undefined;
  const maps = await openMaps(parameter, specs, adapterContext(PROGRAM));
  return (line) => maps.lookup(line);
}

const log: CheckLog = {
  action(action, part, content, text) {
    const shown = printable(content.slice(0, CONTENT_SIZE));
    print(`${PROGRAM}: test-queueID: ${action}: ${part} ${shown}${text === '' ? '' : `: ${text}`}\n`);
  },
  warn: (text) => print(`${PROGRAM}: warning: ${text}\n`),
};

let count = 0;

/** Prints the line as the table left it. */
function show(result: CheckResult, label: string, text: string): void {
  const number = count++;
  if (result.result === 'delete') return;
  if (result.result === 'prepend') print(`${result.text}\n`);
  print(`${number} ${label}${result.result === 'replace' ? result.text : text}\n`);
}

await walkMessage(PROGRAM, mimeTestOptions, async (event) => {
  if (event.type === 'header-end') print('HEADER END\n');
  else if (event.type === 'body-end') print('BODY END\n');
  else if (event.type === 'header') {
    const { parameter, lookup } = headerTable(checks, event.block, event.name);
    show(await check(lookup, parameter, 'header', event.text), headerLabel(event), event.text);
  } else if (event.type === 'body') {
    const label = `BODY ${event.complete ? 'N' : 'L'} ${event.offset}\t|`;
    show(await check(checks.body, 'body_checks', 'body', event.text), label, event.text);
  }
});

async function check(
  lookup: LineLookup | undefined,
  parameter: string,
  part: 'header' | 'body',
  text: string,
): Promise<CheckResult> {
  return lookup === undefined ? { result: 'keep' } : checkLine(lookup, parameter, part, text, log);
}
