/**
 * discard - the discard delivery agent.
 *
 * Pretends to deliver all recipients of a request, with the nexthop as the reason. The reason may begin with an enhanced
 * status code; 2.0.0 stands in where there is none. See discard(8).
 *
 * Standards: RFC 3463. Diagnostics: one line for each recipient.
 */
import { success } from '../../lib/mail/dsn.ts';
import { withStatusClass } from '../../lib/mail/enhanced-status.ts';
import { deliveryAgent } from '../../lib/server/delivery-agent.ts';

export const service = deliveryAgent({
  name: 'discard',
  parameters: [],
  async open() {
    return {
      async deliver(request, _signal, report) {
        const said = success('relayed', request.nexthop);
        const dsn = { ...said, status: withStatusClass(said.status, '2') };
        for (const recipient of request.recipients) report.sent(recipient, 'none', dsn);
        return report.reply();
      },
    };
  },
});
