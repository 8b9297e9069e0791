/**
 * header_checks, mime_header_checks, nested_header_checks and body_checks on mail that comes in (header_checks(5)): the
 * content with the lines that they leave, and what they decide about the message.
 *
 * Content comes in pieces and goes out in pieces; what no action touches keeps its bytes, but for blanks between the name
 * of a header and its colon, and headers beyond header_size_limit. Bodies are checked up to body_checks_size_limit octets
 * of each part. After REJECT, DISCARD or PASS nothing more is looked up, and the rest passes.
 *
 * Logs each action. Rejects with TableError where a table fails.
 */

import { splitEnhancedStatus } from '../../lib/mail/enhanced-status.ts';
import {
  type CheckedPart,
  type CheckLog,
  type CheckResult,
  checkLine,
  type HeaderBodyChecks,
  headerTable,
} from '../../lib/mail/header-body-checks.ts';
import { LineRecords, recordBytes } from '../../lib/mail/line-records.ts';
import { type MimeEvent, type MimeOptions, MimeWalker } from '../../lib/mail/mime.ts';

/** What the checks decide about the message as a whole. */
export interface ContentVerdict {
  /** Status and text of the refusal. */
  readonly reject: { readonly status: string; readonly text: string } | undefined;
  readonly discard: boolean;
  readonly hold: boolean;
  /** `transport:nexthop`; empty where there is none. The last one counts. */
  readonly filter: string;
  /** The address that gets the message in place of its recipients; empty where there is none. */
  readonly redirect: string;
  /** Recipients to add, with NOTIFY=NONE. */
  readonly bcc: readonly string[];
  /** Milters are not asked either. */
  readonly pass: boolean;
}

export interface InspectionOptions {
  readonly checks: HeaderBodyChecks;
  readonly mime: MimeOptions;
  /** body_checks_size_limit */
  readonly bodySizeLimit: number;
  /** line_length_limit */
  readonly lineLengthLimit: number;
  readonly log: CheckLog;
}

const REJECTED = { status: '5.7.1', text: 'message content rejected' };

/** Inspects one message. */
export class ContentInspection {
  readonly #options: InspectionOptions;
  readonly #walker: MimeWalker;
  readonly #records: LineRecords;
  #inspecting = true;
  #verdict: ContentVerdict = {
    reject: undefined,
    discard: false,
    hold: false,
    filter: '',
    redirect: '',
    bcc: [],
    pass: false,
  };

  constructor(options: InspectionOptions) {
    this.#options = options;
    this.#walker = new MimeWalker(options.mime);
    this.#records = new LineRecords(options.lineLengthLimit);
  }

  /** Complete when `end` was called. */
  get verdict(): ContentVerdict {
    return this.#verdict;
  }

  /** Takes content, and returns what is settled of it. */
  async push(content: Buffer): Promise<Buffer> {
    const output: Buffer[] = [];
    for (const { text, complete } of this.#records.push(content)) {
      await this.#handle(this.#walker.push(text, complete), output);
    }
    return Buffer.concat(output);
  }

  /** The content is over; returns what is left of it. */
  async end(): Promise<Buffer> {
    const output: Buffer[] = [];
    for (const { text, complete } of this.#records.end()) {
      await this.#handle(this.#walker.push(text, complete), output);
    }
    await this.#handle(this.#walker.end(), output);
    return Buffer.concat(output);
  }

  async #handle(events: readonly MimeEvent[], output: Buffer[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'header') await this.#header(event, output);
      else if (event.type === 'body') await this.#body(event, output);
    }
  }

  async #header(event: Extract<MimeEvent, { type: 'header' }>, output: Buffer[]): Promise<void> {
    const { parameter, lookup } = headerTable(this.#options.checks, event.block, event.name);
    const line = { text: event.text, complete: true };
    if (lookup === undefined || !this.#inspecting) {
      output.push(recordBytes(line));
      return;
    }
    const result = await checkLine(lookup, parameter, 'header', event.text, this.#options.log);
    this.#apply(result, 'header', parameter, line, output);
  }

  async #body(event: Extract<MimeEvent, { type: 'body' }>, output: Buffer[]): Promise<void> {
    const { checks, bodySizeLimit, log } = this.#options;
    if (checks.body === undefined || !this.#inspecting || event.offset >= bodySizeLimit) {
      output.push(recordBytes(event));
      return;
    }
    const result = await checkLine(checks.body, 'body_checks', 'body', event.text, log);
    this.#apply(result, 'body', 'body_checks', event, output);
  }

  #apply(
    result: CheckResult,
    part: CheckedPart,
    parameter: string,
    line: { readonly text: string; readonly complete: boolean },
    output: Buffer[],
  ): void {
    switch (result.result) {
      case 'delete':
        return;
      case 'replace':
        output.push(recordBytes({ text: result.text, complete: line.complete }));
        return;
      case 'prepend':
        output.push(recordBytes({ text: result.text, complete: true }));
        break;
      case 'other':
        this.#decide(result.action, result.text, part, parameter, line.text);
        break;
      default:
    }
    output.push(recordBytes(line));
  }

  /** Actions that concern the message. */
  #decide(action: string, text: string, part: CheckedPart, parameter: string, content: string): void {
    const { log } = this.#options;
    const set = (change: Partial<ContentVerdict>): void => {
      this.#verdict = { ...this.#verdict, ...change };
      log.action(action.toLowerCase(), part, content, text);
    };
    switch (action) {
      case 'REJECT':
        this.#inspecting = false;
        set({ reject: text === '' ? REJECTED : splitEnhancedStatus(text, REJECTED.status) });
        break;
      case 'DISCARD':
        this.#inspecting = false;
        set({ discard: true });
        break;
      case 'PASS':
        this.#inspecting = false;
        set({ pass: true });
        break;
      case 'HOLD':
        // One line in the log is enough, however many lines of the message say so.
        if (!this.#verdict.hold) set({ hold: true });
        break;
      case 'FILTER':
        if (/^[^:\s]+:/.test(text)) set({ filter: text });
        else log.warn(`bad FILTER command "${text}" in ${parameter} -- need transport:destination`);
        break;
      case 'REDIRECT':
        if (isAddress(text)) set({ redirect: text });
        else log.warn(`bad REDIRECT target "${text}" in ${parameter} map -- need user@domain`);
        break;
      case 'BCC':
        if (isAddress(text)) set({ bcc: [...this.#verdict.bcc, text] });
        else log.warn(`bad BCC address "${text}" in ${parameter} map -- need user@domain`);
        break;
      default:
        log.warn(`unknown command in ${parameter} map: ${action} ${text}`.trimEnd());
    }
  }
}

function isAddress(text: string): boolean {
  const at = text.lastIndexOf('@');
  return at > 0 && at < text.length - 1;
}
