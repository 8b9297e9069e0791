/**
 * smtpd - the SMTP server.
 *
 * Accepts connections, judges clients, senders and recipients (SMTPD_ACCESS_README), receives messages and hands each to
 * cleanup(8). `250 2.0.0 Ok: queued as …` is said only when cleanup says that the message is in the incoming log, on disk.
 *
 * STANDARDS: RFC 5321, 1870 (SIZE), 2034 (enhanced status codes), 2920 (pipelining), 3030 (chunking without BINARYMIME),
 * 3461 (DSN), 6152 (8BITMIME), 6531 (SMTPUTF8), 1985 (ETRN); XCLIENT and XFORWARD for hosts that are allowed to.
 *
 * DIAGNOSTICS: connect, disconnect with counts of commands, lost connections and time-outs, refusals, queue ids.
 *
 * BUGS: no STARTTLS, no AUTH, no Milters.
 *
 * SEE ALSO: smtpd(8), postconf(5).
 */
import type { ServiceContext } from '../../lib/server/context.ts';
import { tcpServer } from '../../lib/server/tcp-server.ts';
import { SmtpdContext } from './context.ts';
import { SMTPD_PARAMETERS } from './parameters.ts';
import { Session } from './session.ts';

/** Milliseconds for those that are called to say whether they would do their work. */
const READY_LIMIT = 800;

/** A greeting alone is of no use: a message must find who resolves its addresses and who keeps it. */
async function wouldKeep({ clients }: ServiceContext): Promise<boolean> {
  const signal = AbortSignal.timeout(READY_LIMIT);
  const states = await Promise.all(['cleanup', 'rewrite'].map((name) => clients.isReady(name, signal)));
  return !states.includes(false);
}

export const service = tcpServer({
  name: 'smtpd',
  parameters: SMTPD_PARAMETERS,
  open: async (base) => {
    const context = await SmtpdContext.open(base);
    return {
      session: (connection) => Session.serve(context, context.settingsNow(), connection),
      ready: () => wouldKeep(base),
      [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
    };
  },
});
