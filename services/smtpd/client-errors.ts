/**
 * What one client has done wrong since its last message: commands that were refused, and commands that do nothing. Few are
 * let pass, more are answered slowly, and at the hard limit the client is sent away.
 * @see postconf(5), smtpd_soft_error_limit, smtpd_hard_error_limit, smtpd_error_sleep_time, smtpd_junk_command_limit
 */
import type { SmtpdSettings } from './settings.ts';

type Limits = Pick<SmtpdSettings, 'softErrorLimit' | 'hardErrorLimit' | 'errorSleepTime' | 'junkCommandLimit'>;

export class ClientErrors {
  readonly #limits: Limits;
  #errors = 0;
  #junkCommands = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** A command that does nothing for mail; beyond their limit each is an error. */
  junkCommand(): void {
    if (this.#junkCommands++ > this.#limits.junkCommandLimit) this.#errors += 1;
  }

  /** The refusal that is about to be answered is not the client's fault. */
  forgive(): void {
    this.#errors -= 1;
  }

  /** A message was taken. */
  reset(): void {
    this.#errors = 0;
    this.#junkCommands = 0;
  }

  /** A reply is given, a refusal or not: how the client gets it, and whether it gets any more. */
  replied(refused: boolean): 'at once' | 'slowly' | 'for the last time' {
    const before = this.#errors;
    if (refused) this.#errors += 1;
    const { softErrorLimit, hardErrorLimit, errorSleepTime } = this.#limits;
    if (this.#errors <= 0) return 'at once';
    if (this.#errors >= hardErrorLimit) return 'for the last time';
    return before >= softErrorLimit && errorSleepTime > 0 ? 'slowly' : 'at once';
  }
}
