/** Messages, transports and schedulers made from little, for the tests of the scheduler. */
import type { ResolveReply } from '../../lib/clients/protocols.ts';
import { Envelope } from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { Admitted } from './admitted.ts';
import type { ActiveMessage, Admission } from './message.ts';
import { sortRecipients } from './recipients.ts';
import { type TransportSettings, transportSettings } from './settings.ts';
import type { Transport } from './transport.ts';

/** Settings of a transport `test` under main.cf's lines; `overrides` for what they do not say. */
export function testTransportSettings(mainCf = '', overrides: Partial<TransportSettings> = {}): TransportSettings {
  return { ...transportSettings(Configuration.fromText(mainCf), 'test'), ...overrides };
}

/** A message for these addresses: `user@nexthop`, or `transport:user@nexthop`. */
export function testMessage(number: number, addresses: readonly string[], overrides: Partial<ActiveMessage> = {}) {
  const message: ActiveMessage = {
    key: { log: 1, sequence: number, entry: 0 },
    shard: 0,
    epoch: 1,
    envelope: Envelope.fromPartial({
      queueId: `M${number}`,
      sender: 'sender@example.com',
      recipients: addresses.map((address) => ({ address })),
    }),
    content: Buffer.from('x'),
    at: { log: 1, sequence: number, entry: 0 },
    activeTime: 0,
    single: addresses.length === 1,
    delayNotified: false,
    forcedExpire: undefined,
    pending: 0,
    untold: 0,
    deleted: false,
    unwritten: undefined,
    span: undefined,
    ...overrides,
  };
  return message;
}

export function testResolve(address: string): ResolveReply {
  const [transport = '', recipient = ''] = address.includes(':') ? address.split(':') : ['test', address];
  return { transport, nexthop: recipient.slice(recipient.indexOf('@') + 1), recipient, flags: 0 };
}

export function testAdmission(message: ActiveMessage, attempts = 0): Admission {
  return {
    message,
    recipients: message.envelope.recipients.map(({ address }, offset) => ({
      offset,
      attempts,
      resolved: testResolve(address),
    })),
  };
}

/** Lets all recipients of a message wait in the transport, whatever theirs is. */
export function addToTransport(transport: Transport, message: ActiveMessage, now = 0): Admitted {
  const admitted = new Admitted(message, message.key.sequence, now);
  const recipients = message.envelope.recipients.map((recipient, offset) => ({
    offset,
    attempts: 0,
    recipient,
    resolved: testResolve(recipient.address),
  }));
  sortRecipients(admitted, recipients, () => transport, now);
  return admitted;
}
