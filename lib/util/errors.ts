/**
 * The two ways a Postfleet process ends by itself. `FatalError` is about the environment or the configuration: somebody
 * outside the code has to act, so its message is one line that names what is wrong, what was expected and what to do.
 * `PanicError` is a broken invariant of the code itself. What a remote party or a message does is neither: it is a value
 * (an SMTP reply, a DSN).
 */

/** sysexits(3) codes that commands and services end with. */
export const EX = {
  OK: 0,
  USAGE: 64,
  DATAERR: 65,
  NOINPUT: 66,
  NOUSER: 67,
  UNAVAILABLE: 69,
  SOFTWARE: 70,
  OSERR: 71,
  CANTCREAT: 73,
  IOERR: 74,
  TEMPFAIL: 75,
  NOPERM: 77,
  CONFIG: 78,
} as const;

export type ExitCode = (typeof EX)[keyof typeof EX];

/** The environment or the configuration does not allow the program to go on. */
export class FatalError extends Error {
  override readonly name = 'FatalError';
  readonly exitCode: ExitCode;

  constructor(message: string, options: { cause?: unknown; exitCode?: ExitCode } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? EX.CONFIG;
  }
}

/** An invariant of Postfleet's own code does not hold. */
export class PanicError extends Error {
  override readonly name = 'PanicError';
}
