/** Why a server cannot listen, in one line that says what to do about it. */
import { EX, FatalError } from '../util/errors.ts';

/** `what`: who would listen; `where`: "host:port"; `error`: what listening ended with; `remedy`: how its port is moved. */
export function listenError(what: string, where: string, error: unknown, remedy = 'choose another port'): FatalError {
  const why =
    (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      ? `the port is taken: stop what listens there, or ${remedy}`
      : error instanceof Error
        ? error.message
        : String(error);
  return new FatalError(`${what}: cannot listen on ${where}: ${why}`, { cause: error, exitCode: EX.OSERR });
}
