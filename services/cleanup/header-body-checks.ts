/**
 * header_checks, mime_header_checks, nested_header_checks and body_checks on mail that comes in (header_checks(5)): the
 * content with the lines that they leave, and what they decide about the message.
 *
 * Content comes in pieces and goes out in pieces; what no action touches keeps its bytes, but for blanks between the name
 * of a header and its colon, and headers beyond header_size_limit. Bodies are checked up to body_checks_size_limit octets
 * of each part. After REJECT, DISCARD, REDIRECT or PASS nothing more is looked up, and the rest passes.
 *
 * A message whose MIME structure is wrong is refused where mime_nesting_limit or one of the strict_… parameters says so.
 *
 * Logs each action. Rejects with TableError where a table fails.
 */
import type { Configuration } from '../../lib/config/settings.ts';

import { splitEnhancedStatus } from '../../lib/mail/enhanced-status.ts';
import {
  type CheckedPart,
  type CheckLog,
  type CheckResult,
  checkLine,
  type HeaderBodyChecks,
  headerTable,
} from '../../lib/mail/header-body-checks.ts';
import { scanHeaders } from '../../lib/mail/headers.ts';
import { LineRecords, recordBytes } from '../../lib/mail/line-records.ts';
import { MIME_ERRORS, type MimeErrorKind, type MimeEvent, type MimeOptions, MimeWalker } from '../../lib/mail/mime.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';

export const HEADER_BODY_CHECKS_PARAMETERS = [
  'header_checks',
  'mime_header_checks',
  'nested_header_checks',
  'body_checks',
  'body_checks_size_limit',
  'disable_mime_input_processing',
  'header_size_limit',
  'line_length_limit',
  'mime_boundary_length_limit',
  'mime_nesting_limit',
  'strict_7bit_headers',
  'strict_8bitmime',
  'strict_8bitmime_body',
  'strict_mime_encoding_domain',
] as const;

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

/** What a service inspects all its messages with. */
export interface InspectionContext extends AsyncDisposable {
  readonly options: Omit<InspectionOptions, 'log'>;
  /**
   * Can anything come of inspecting this content? Without tables and strict parameters nothing but a header that is too
   * long matters.
   */
  isNeeded(content: Buffer): boolean;
  /** There are tables, or strict parameters. */
  readonly hasChecks: boolean;
}

/** Opens the tables and reads the limits. What cannot be opened fails its look-ups. */
export async function openHeaderBodyChecks(
  configuration: Configuration,
  tables: TableContext,
): Promise<InspectionContext> {
  const opened: Maps[] = [];
  const table = async (parameter: string) => {
    // Content is what it is: a key need not be UTF-8.
    const maps = await openMaps(parameter, configuration.text(parameter), tables, { utf8: false });
    opened.push(maps);
    return maps.isEmpty ? undefined : (line: string) => maps.lookup(line);
  };
  const parsed = !configuration.boolean('disable_mime_input_processing');
  const checks = {
    header: await table('header_checks'),
    mimeHeader: await table('mime_header_checks'),
    nestedHeader: await table('nested_header_checks'),
    body: await table('body_checks'),
  };
  const hasHeaderChecks =
    checks.header !== undefined || checks.mimeHeader !== undefined || checks.nestedHeader !== undefined;
  const report = parsed ? reportedErrors(configuration, hasHeaderChecks) : new Set<MimeErrorKind>();
  const options = {
    checks,
    mime: {
      headerSizeLimit: configuration.integer('header_size_limit'),
      nestingLimit: configuration.integer('mime_nesting_limit'),
      boundaryLengthLimit: configuration.integer('mime_boundary_length_limit'),
      report,
      downgrade: false,
      parse: parsed,
    },
    bodySizeLimit: configuration.integer('body_checks_size_limit'),
    lineLengthLimit: configuration.integer('line_length_limit'),
  };
  const hasChecks = report.size > 0 || opened.some((maps) => !maps.isEmpty);
  return {
    options,
    hasChecks,
    isNeeded: (content) => hasChecks || hasLongHeader(content, options.mime.headerSizeLimit),
    [Symbol.asyncDispose]: async () => {
      for (const maps of opened) await maps.close();
    },
  };
}

/** Is there a header that header_size_limit cuts? */
function hasLongHeader(content: Buffer, limit: number): boolean {
  return content.length > limit && scanHeaders(content).headers.some(({ start, end }) => end - start > limit);
}

/** Nesting is bounded where anybody looks into the structure, and left to the receiver elsewhere. */
function reportedErrors(configuration: Configuration, hasHeaderChecks: boolean): Set<MimeErrorKind> {
  const strict = configuration.boolean('strict_8bitmime');
  const kinds = new Set<MimeErrorKind>();
  if (strict || configuration.boolean('strict_7bit_headers')) kinds.add('8bit-in-header');
  if (strict || configuration.boolean('strict_8bitmime_body')) kinds.add('8bit-in-7bit-body');
  if (configuration.boolean('strict_mime_encoding_domain')) kinds.add('encoding-domain');
  if (hasHeaderChecks || kinds.size > 0) kinds.add('nesting');
  return kinds;
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
      else if (event.type === 'error') this.#mimeError(event);
    }
  }

  #mimeError({ kind, text }: Extract<MimeEvent, { type: 'error' }>): void {
    if (this.#verdict.reject !== undefined) return;
    const error = MIME_ERRORS.get(kind)!;
    this.#inspecting = false;
    this.#verdict = { ...this.#verdict, reject: error };
    this.#options.log.action('reject', 'mime-error', `${error.text}: ${text}`, '');
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

  #refusal(text: string): { readonly status: string; readonly text: string } {
    if (text === '') return REJECTED;
    if (SUCCESS_STATUS.test(text)) this.#options.log.warn(`bad DSN action in ${text} -- need 4.x.x or 5.x.x`);
    return splitEnhancedStatus(text.replace(SUCCESS_STATUS, '4'), REJECTED.status);
  }

  /** Actions that concern the message. */
  #decide(action: string, text: string, part: CheckedPart, parameter: string, content: string): void {
    const { log } = this.#options;
    const set = (change: Partial<ContentVerdict>): void => {
      this.#verdict = { ...this.#verdict, ...change };
      log.action(action.toLowerCase(), part, content, text);
    };
    switch (action) {
      case 'REJECT': {
        this.#inspecting = false;
        const reject = this.#refusal(text);
        this.#verdict = { ...this.#verdict, reject };
        log.action('reject', part, content, `${reject.status} ${reject.text}`);
        break;
      }
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
        if (isAddress(text)) {
          this.#inspecting = false;
          set({ redirect: text });
        } else log.warn(`bad REDIRECT target "${text}" in ${parameter} map -- need user@domain`);
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

/** `2.1.1` says that all is well, which a refusal does not. */
const SUCCESS_STATUS = /^2(?=\.\d{1,3}\.\d{1,3}(?:\s|$))/;

function isAddress(text: string): boolean {
  const at = text.lastIndexOf('@');
  return at > 0 && at < text.length - 1;
}
