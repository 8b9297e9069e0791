/**
 * anvil(8): counts connections and requests of clients, for smtpd(8) to limit. An ident such as "smtp:192.0.2.1" belongs to
 * one replica, so counts are exact for the whole fleet.
 *
 * Requests (proto/postfleet/v1/anvil.proto): connect gives open connections and their rate; message, recipient, newtls and
 * auth give a rate; newtls_report, auth_report and lookup give what is known without counting; disconnect gives nothing.
 * An event that is not known counts for nothing.
 *
 * State is in memory only, as in Postfix, and bounded: 500,000 clients. A replica that starts anew counts from
 * zero; a reload that leaves its parameters as they are does not.
 *
 * Logs the largest values each anvil_status_update_time and at the end (`statistics: max …`).
 * @see anvil(8), TUNING_README
 */
import type { CountReply, CountRequest } from '../../lib/clients/protocols.ts';
import { rpcServer } from '../../lib/server/rpc-server.ts';
import { Counts, type RateKind } from './counts.ts';
import { Statistics } from './statistics.ts';

const CLIENT_LIMIT = 500_000;
/** Longer than any session goes without a message, a recipient or an authentication. */
const STALE_AFTER_MS = 3_600_000;

const NOTHING: CountReply = { count: 0, rate: 0 };
const COUNTED: ReadonlySet<string> = new Set<RateKind>(['message', 'recipient', 'newtls', 'auth']);
const REPORTED: ReadonlyMap<string, RateKind> = new Map([
  ['newtls_report', 'newtls'],
  ['auth_report', 'auth'],
  ['lookup', 'connection'],
]);

export const service = rpcServer({
  name: 'anvil',
  parameters: ['anvil_rate_time_unit', 'anvil_status_update_time'],
  keepsState: true,
  async open({ configuration, log }) {
    const timeUnit = configuration.seconds('anvil_rate_time_unit');
    const counts = new Counts({
      timeUnit: timeUnit * 1000,
      limit: CLIENT_LIMIT,
      staleAfter: Math.max(STALE_AFTER_MS, timeUnit * 1000),
      now: () => performance.now(),
    });
    const statistics = new Statistics(timeUnit);

    const report = (): void => {
      for (const line of statistics.take()) log.info(line);
    };
    const reports = setInterval(report, configuration.seconds('anvil_status_update_time') * 1000).unref();
    const expiry = setInterval(() => counts.expire(), timeUnit * 1000).unref();

    function count({ event, ident }: CountRequest): CountReply {
      if (event === 'connect') {
        const reply = counts.connect(ident);
        statistics.open(reply.count, ident);
        statistics.rate('connection', reply.rate, ident);
        statistics.cacheSize(counts.size);
        return reply;
      }
      if (event === 'disconnect') {
        counts.disconnect(ident);
        return NOTHING;
      }
      if (COUNTED.has(event)) {
        const kind = event as RateKind;
        const rate = counts.count(ident, kind);
        statistics.rate(kind, rate, ident);
        statistics.cacheSize(counts.size);
        return { count: counts.open(ident), rate };
      }
      const kind = REPORTED.get(event);
      return kind === undefined ? NOTHING : { count: counts.open(ident), rate: counts.rate(ident, kind) };
    }

    return {
      anvil: { count: async (requests) => requests.map(count) },
      async [Symbol.asyncDispose]() {
        clearInterval(reports);
        clearInterval(expiry);
        report();
      },
    };
  },
});
