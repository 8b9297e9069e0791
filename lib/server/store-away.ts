/**
 * Whether an error says that a store cannot be reached at present, so that waiting or asking again can help; anything else
 * is wrong with the request, the address or the credentials. Pure.
 */

/** System calls; Postgres that ends connections (57P0x), starts (57P03) or has too many of them (53300). */
const CODES = /^(?:ECONN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|EPIPE|57P0|53300|08)/;
/** Errors of the NATS client. */
const NAMES = /^(?:ConnectionError|ClosedConnectionError|DrainingConnectionError|TimeoutError|NoRespondersError)$/;
/** What pg says without a code. */
const MESSAGES =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

export function isAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return (typeof code === 'string' && CODES.test(code)) || NAMES.test(error.name) || MESSAGES.test(error.message);
}
