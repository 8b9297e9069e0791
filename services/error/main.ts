/**
 * error - the error and retry delivery agents.
 *
 * Bounces all recipients of a request, with the nexthop as the reason; under the service name `retry` it defers them. The
 * reason may begin with an enhanced status code; 5.0.0 or 4.0.0 stands in where there is none. See error(8).
 *
 * Standards: RFC 3463. Diagnostics: one line for each recipient.
 */
import { failure } from '../../lib/mail/dsn.ts';
import { deliveryAgent } from '../../lib/server/delivery-agent.ts';

export const service = deliveryAgent({
  name: 'error',
  parameters: [],
  async open(context) {
    const retry = context.name === 'retry';
    return {
      async deliver(request, _signal, report) {
        const dsn = retry ? failure('delayed', '4.0.0', request.nexthop) : failure('failed', '5.0.0', request.nexthop);
        for (const recipient of request.recipients) {
          if (retry) report.deferred(recipient, 'none', dsn);
          else report.bounced(recipient, 'none', dsn);
        }
        return report.reply();
      },
    };
  },
});
