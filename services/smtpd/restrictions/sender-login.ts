/**
 * reject_sender_login_mismatch and its relatives: who owns a sender address is asked of clients that can log in. Nobody can
 * log in here, so they judge nothing and say so, as with Postfix where smtpd_sasl_auth_enable is off. See postconf(5).
 */
import type { Restriction, RestrictionTable } from './environment.ts';

function ignored(...names: readonly string[]): Restriction {
  return {
    make:
      ({ log }) =>
      () => {
        for (const name of names) log.warning(`restriction \`${name}' ignored: no SASL support`);
        return 'dunno';
      },
  };
}

const AUTHENTICATED = 'reject_authenticated_sender_login_mismatch';
const UNAUTHENTICATED = 'reject_unauthenticated_sender_login_mismatch';
const KNOWN = 'reject_known_sender_login_mismatch';

export const senderLoginRestrictions: RestrictionTable = {
  reject_sender_login_mismatch: ignored(AUTHENTICATED, UNAUTHENTICATED),
  [AUTHENTICATED]: ignored(AUTHENTICATED),
  [UNAUTHENTICATED]: ignored(UNAUTHENTICATED),
  [KNOWN]: ignored(KNOWN),
};
