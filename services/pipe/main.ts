/**
 * pipe(8): delivers by running a command, as the `user=` of its master.cf entry, with the message on standard input:
 *
 *     maildrop unix - n n - - pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
 *
 * The command is run as it stands, never through a shell. Its exit status, or an enhanced status code at the beginning of its
 * output, is the outcome (lib/delivery/run-command.ts); it is killed after `<transport>_time_limit`. With flags D or O
 * it is run once for each recipient.
 *
 * An entry that cannot work (an unknown user, attribute or macro) is logged as an error at the start, and its mail is
 * deferred, so that one bad line keeps no other service from working.
 *
 * chroot= is done by chroot(8) and needs root; here it cannot be combined with directory=. A command that cannot be
 * started defers, where Postfix bounces: somebody who mistypes a path loses no mail.
 */
import { existsSync } from 'node:fs';
import type { DeliveryRecipient, DeliveryReply, DeliveryRequest } from '../../lib/clients/protocols.ts';
import { exportedEnvironment } from '../../lib/config/environment.ts';
import { Message } from '../../lib/delivery/message.ts';
import { copyContent, deliveryHead } from '../../lib/delivery/message-copy.ts';
import { type Command, runCommand } from '../../lib/delivery/run-command.ts';
import { type Dsn, failure, success } from '../../lib/mail/dsn.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { type DeliveryHandler, deliveryAgent } from '../../lib/server/delivery-agent.ts';
import { type DeliveryReport, TraceFlag } from '../../lib/server/delivery-report.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { UserDatabase } from '../../lib/util/passwd.ts';
import { type PipeAttributes, parseAttributes } from './attributes.ts';
import { commandLine } from './macros.ts';

const CHROOT = '/usr/sbin/chroot';

class PipeDelivery implements DeliveryHandler {
  readonly #context: ServiceContext;
  readonly #attributes: PipeAttributes;
  readonly #recipientDelimiter: string;
  readonly #originalRecipient: boolean;
  readonly #timeLimit: number;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #directory: string;

  constructor(context: ServiceContext, attributes: PipeAttributes) {
    const { configuration } = context;
    this.#context = context;
    this.#attributes = attributes;
    this.#recipientDelimiter = configuration.text('recipient_delimiter');
    this.#originalRecipient = configuration.boolean('enable_original_recipient');
    this.#timeLimit = configuration.seconds(`${context.name}_time_limit`);
    this.#environment = {
      PATH: '/usr/bin:/bin',
      ...exportedEnvironment(configuration.list('export_environment', { stripBraces: true })),
      MAIL_CONFIG: configuration.directory,
    };
    const queueDirectory = configuration.text('queue_directory');
    this.#directory = attributes.directory ?? (existsSync(queueDirectory) ? queueDirectory : '/');
  }

  async deliver(request: DeliveryRequest, signal: AbortSignal, report: DeliveryReport): Promise<DeliveryReply> {
    const { flags, sizeLimit } = this.#attributes;
    const message = new Message(request, this.#context.content, signal);
    if (sizeLimit > 0 && request.contentSize > sizeLimit) {
      this.#all(request.recipients, failure('failed', '5.2.3', 'message too large'), report);
      return report.reply();
    }
    const recipients = await this.#withoutLoops(request.recipients, message, report);
    const single = flags.has('D') || flags.has('O');
    const groups = single ? recipients.map((recipient) => [recipient]) : recipients.length > 0 ? [recipients] : [];
    for (const group of groups) this.#all(group, await this.#run(request, group, message, signal), report);
    return report.reply();
  }

  /** With flag D, recipients that the message was delivered to before bounce. */
  async #withoutLoops(
    recipients: readonly DeliveryRecipient[],
    message: Message,
    report: DeliveryReport,
  ): Promise<DeliveryRecipient[]> {
    if (!this.#attributes.flags.has('D')) return [...recipients];
    const left: DeliveryRecipient[] = [];
    for (const recipient of recipients) {
      const { address } = recipient;
      if (!(await message.wasDeliveredTo(address))) left.push(recipient);
      else this.#all([recipient], failure('failed', '5.4.6', `mail forwarding loop for ${address}`), report);
    }
    return left;
  }

  async #run(
    request: DeliveryRequest,
    recipients: readonly DeliveryRecipient[],
    message: Message,
    signal: AbortSignal,
  ): Promise<Dsn> {
    const { flags } = this.#attributes;
    const [program = ''] = this.#attributes.argv;
    const action = flags.has('X') ? 'delivered' : 'relayed';
    if ((request.traceFlags & TraceFlag.VERIFY_ONLY) !== 0) return success(action, `delivers to command: ${program}`);
    const argv = commandLine(this.#attributes, request, recipients, this.#recipientDelimiter);
    const outcome = await runCommand(this.#command(argv), this.#content(request, recipients[0]!, message), signal);
    if (outcome.delivered) {
      const output = outcome.output === '' ? '' : ` (${outcome.output})`;
      return success(action, `delivered via ${this.#context.name} service${output}`);
    }
    return outcome.dsn;
  }

  #command(argv: readonly string[]): Command {
    const { chroot, rights } = this.#attributes;
    const common = { name: argv[0] ?? '', environment: this.#environment, timeLimit: this.#timeLimit };
    if (chroot === undefined || rights === undefined) return { ...common, argv, rights, directory: this.#directory };
    return {
      ...common,
      // chroot(8) takes its own rights away after it has changed the root directory.
      argv: [CHROOT, `--userspec=${rights.uid}:${rights.gid}`, '--groups=', chroot, ...argv],
      rights: undefined,
      directory: '/',
    };
  }

  async *#content(request: DeliveryRequest, recipient: DeliveryRecipient, message: Message): AsyncGenerator<Buffer> {
    const { flags, lineEnd, nullSender } = this.#attributes;
    const { address, originalAddress } = recipient;
    const head = deliveryHead({
      sender: request.sender,
      nullSender,
      nullSenderInReturnPath: true,
      ...(flags.has('F') ? { fromLine: Date.now() } : {}),
      returnPath: flags.has('R'),
      ...(flags.has('O') && this.#originalRecipient
        ? { originalRecipient: originalAddress === '' ? address : originalAddress }
        : {}),
      ...(flags.has('D') ? { deliveredTo: address } : {}),
      lineEnd,
    });
    if (head.length > 0) yield head;
    yield* copyContent(message.content(), {
      quoteFrom: flags.has('>'),
      doubleDots: flags.has('.'),
      blankLine: flags.has('B'),
      lineEnd,
    });
  }

  #all(recipients: readonly DeliveryRecipient[], dsn: Dsn, report: DeliveryReport): void {
    for (const recipient of recipients) {
      if (dsn.action === 'failed' || dsn.action === 'delayed') report.failed(recipient, this.#context.name, dsn);
      else report.sent(recipient, this.#context.name, dsn);
    }
  }
}

/** What stands in for an entry that cannot work. */
const DEFERS_ALL: DeliveryHandler = {
  async deliver(request, _signal, report) {
    const dsn = failure('delayed', '4.3.5', 'mail system configuration error');
    for (const recipient of request.recipients) report.deferred(recipient, 'none', dsn);
    return report.reply();
  },
};

export const service = deliveryAgent({
  name: 'pipe',
  parameters: [
    'command_time_limit',
    'enable_original_recipient',
    'export_environment',
    'mail_owner',
    'queue_directory',
    'recipient_delimiter',
  ],
  async open(context) {
    try {
      const mailOwner = context.configuration.text('mail_owner');
      return new PipeDelivery(context, parseAttributes(context.argv, new UserDatabase(), mailOwner));
    } catch (error) {
      if (!(error instanceof FatalError)) throw error;
      context.log.error(`service ${context.name}: ${error.message}: its mail is deferred`);
      return DEFERS_ALL;
    }
  },
});
