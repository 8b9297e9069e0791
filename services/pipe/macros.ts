/**
 * The command line of a pipe(8) delivery: `${recipient}`, `${sender}` and the like expanded. An argument that names
 * something of a recipient becomes as many arguments as there are recipients. Nothing is ever given to a shell.
 * See pipe(8), argv=. Pure.
 */
import type { DeliveryRecipient, DeliveryRequest } from '../../lib/clients/protocols.ts';
import { expand, namesIn } from '../../lib/config/expand.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
import { splitAddress } from '../../lib/mail/strip-address.ts';
import { caseFold } from '../../lib/util/case-fold.ts';
import type { PipeAttributes } from './attributes.ts';

const OF_RECIPIENT = new Set(['extension', 'mailbox', 'original_recipient', 'recipient', 'user']);
const OF_MESSAGE = [
  'client_address',
  'client_helo',
  'client_hostname',
  'client_port',
  'client_protocol',
  'domain',
  'nexthop',
  'queue_id',
  'sasl_method',
  'sasl_sender',
  'sasl_username',
  'sender',
  'size',
];

/** Every name that may stand in argv=. */
export const MACROS: ReadonlySet<string> = new Set([...OF_RECIPIENT, ...OF_MESSAGE]);

export function commandLine(
  attributes: PipeAttributes,
  request: DeliveryRequest,
  recipients: readonly DeliveryRecipient[],
  recipientDelimiter: string,
): string[] {
  const ofMessage = messageValues(attributes, request);
  const ofRecipients = recipients.map((recipient) => recipientValues(attributes, recipient, recipientDelimiter));
  return attributes.argv.flatMap((argument) => {
    const repeated = namesIn(argument).some((name) => OF_RECIPIENT.has(name));
    const each = repeated ? ofRecipients : ofRecipients.slice(0, 1);
    return each.map((values) => expandArgument(argument, { ...ofMessage, ...values }));
  });
}

function expandArgument(argument: string, values: Readonly<Record<string, string>>): string {
  const lookup = (name: string): string | undefined => (Object.hasOwn(values, name) ? values[name] : undefined);
  return expand(argument, { lookup, recursive: false }).text;
}

function messageValues({ flags, nullSender }: PipeAttributes, request: DeliveryRequest): Record<string, string> {
  const { client } = request;
  const foldHost = (text: string): string => (flags.has('h') ? caseFold(text) : text);
  const sender = request.sender === '' ? nullSender : request.sender;
  return {
    client_address: client?.address ?? '',
    client_helo: client?.heloName ?? '',
    client_hostname: client?.name ?? '',
    client_port: client === undefined || client.port === 0 ? '' : String(client.port),
    client_protocol: client?.protocolName ?? '',
    nexthop: foldHost(request.nexthop),
    queue_id: request.queueId,
    sasl_method: client?.saslMethod ?? '',
    sasl_sender: client?.saslSender ?? '',
    sasl_username: client?.saslUsername ?? '',
    sender: quoted(sender, flags),
    size: String(request.contentSize),
  };
}

function recipientValues(
  { flags }: PipeAttributes,
  { address, originalAddress }: DeliveryRecipient,
  recipientDelimiter: string,
): Record<string, string> {
  const folded = fold(address, flags);
  const at = folded.lastIndexOf('@');
  const mailbox = at < 0 ? folded : folded.slice(0, at);
  const { base, extension } = splitAddress(mailbox, recipientDelimiter);
  return {
    recipient: quoted(folded, flags),
    original_recipient: quoted(fold(originalAddress === '' ? address : originalAddress, flags), flags),
    mailbox,
    user: base,
    extension: extension ?? '',
    domain: at < 0 ? '' : folded.slice(at + 1),
  };
}

/** `u` folds the localpart, `h` the domain. */
function fold(address: string, flags: ReadonlySet<string>): string {
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const domain = at < 0 ? '' : address.slice(at);
  return (flags.has('u') ? caseFold(local) : local) + (flags.has('h') ? caseFold(domain) : domain);
}

function quoted(address: string, flags: ReadonlySet<string>): string {
  return flags.has('q') && address !== '' ? quote822Local(address) : address;
}
