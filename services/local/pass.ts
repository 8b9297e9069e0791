/**
 * Hands a recipient to another delivery agent: mailbox_transport and fallback_transport. Its status, which it has logged,
 * is the recipient's.
 */
import type { DeliveryRecipient, DeliveryRequest, RecipientStatus } from '../../lib/clients/protocols.ts';
import { Unavailable } from '../../lib/clients/protocols.ts';
import { type Dsn, failure } from '../../lib/mail/dsn.ts';
import type { Clients } from '../../lib/server/context.ts';

/** `destination` is "transport:nexthop"; an empty nexthop is the recipient's domain. */
export async function passTo(
  clients: Clients,
  destination: string,
  request: DeliveryRequest,
  recipient: DeliveryRecipient,
  domain: string,
  signal: AbortSignal,
): Promise<RecipientStatus | Dsn> {
  const colon = destination.indexOf(':');
  const transport = colon < 0 ? destination : destination.slice(0, colon);
  const nexthop = colon < 0 ? '' : destination.slice(colon + 1);
  const agent = clients.delivery(transport);
  if (agent === undefined) return failure('delayed', '4.3.5', `mail transport "${transport}" is not in master.cf`);
  // The other agent remembers attempts too: one of its own that carries several recipients is told apart.
  const attempt =
    request.attempt === undefined
      ? undefined
      : { ...request.attempt, id: request.attempt.id === '' ? '' : `${request.attempt.id}/${recipient.offset}` };
  try {
    const reply = await agent.deliver(
      { ...request, attempt, transport, nexthop: nexthop === '' ? domain : nexthop, recipients: [recipient] },
      signal,
    );
    const status = reply.recipients.find(({ offset }) => offset === recipient.offset);
    return status ?? failure('delayed', '4.3.0', `mail transport "${transport}" gave no status`);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return failure('delayed', '4.3.0', `mail transport "${transport}" is unavailable`);
  }
}
