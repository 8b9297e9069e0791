/** What the adapters of the MIME walk share: the records of a message on standard input, and the lines they print. */
import { readFileSync, writeSync } from 'node:fs';
import { LineRecords } from '../../../lib/mail/line-records.ts';
import {
  MIME_ERRORS,
  type MimeErrorKind,
  type MimeEvent,
  type MimeOptions,
  MimeWalker,
} from '../../../lib/mail/mime.ts';

const RECORD_SIZE = 1024;
const ERROR_TEXT_SIZE = 100;
const LABELS = { primary: 'MAIN', multipart: 'MULT', nested: 'NEST' } as const;

export const mimeTestOptions: MimeOptions = {
  headerSizeLimit: 2000,
  nestingLimit: 20,
  boundaryLengthLimit: 2000,
  report: new Set(MIME_ERRORS.keys()),
  downgrade: true,
};

/** Everything is bytes here: strings have one character for each. */
export function print(text: string): void {
  writeSync(1, Buffer.from(text, 'latin1'));
}

/** What a log line may show. */
export function printable(text: string): string {
  return text.replace(/[^ -~]/g, '?');
}

export function headerLabel({ block, offset }: Extract<MimeEvent, { type: 'header' }>): string {
  return `${LABELS[block]} ${offset}\t|`;
}

/** Walks through the message on standard input; `handle` gets what is neither error nor trace. */
export async function walkMessage(
  program: string,
  options: MimeOptions,
  handle: (event: MimeEvent) => void | Promise<void>,
): Promise<void> {
  const walker = new MimeWalker(options);
  const met = new Set<MimeErrorKind>();
  const each = async (events: MimeEvent[]): Promise<void> => {
    for (const event of events) {
      if (event.type === 'trace') print(`${program}: ${event.text}\n`);
      else if (event.type === 'error') {
        met.add(event.kind);
        print(`${program}: warning: ${event.reason}: ${printable(event.text.slice(0, ERROR_TEXT_SIZE))}\n`);
      } else await handle(event);
    }
  };
  const records = new LineRecords(RECORD_SIZE);
  for (const { text, complete } of records.push(readFileSync(0))) await each(walker.push(text, complete));
  for (const { text, complete } of records.end()) await each(walker.push(text, complete));
  await each(walker.end());
  for (const [kind, { text }] of MIME_ERRORS) if (met.has(kind)) print(`${program}: warning: ${text}\n`);
  await each(walker.close());
}
