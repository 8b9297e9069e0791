/**
 * SASL mechanisms as a client: CRAM-MD5 (RFC 2195), PLAIN (RFC 4616) and LOGIN. A mechanism is a sequence of answers; the
 * first may go along with the command that starts it.
 *
 * Pure. Nothing here is logged.
 */
import { createHmac } from 'node:crypto';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface SaslMechanism {
  readonly name: string;
  /** The password crosses the network as it is. */
  readonly plaintext: boolean;
  /** What is sent with the start; undefined where the server speaks first. */
  initial(credentials: Credentials): Buffer | undefined;
  /** The answer to challenge number `step`, from 0; undefined where the mechanism expects no more. */
  answer(credentials: Credentials, challenge: Buffer, step: number): Buffer | undefined;
}

const cramMd5: SaslMechanism = {
  name: 'CRAM-MD5',
  plaintext: false,
  initial: () => undefined,
  answer({ user, password }, challenge, step) {
    if (step > 0) return undefined;
    return Buffer.from(`${user} ${createHmac('md5', password).update(challenge).digest('hex')}`);
  },
};

const plain: SaslMechanism = {
  name: 'PLAIN',
  plaintext: true,
  initial: ({ user, password }) => Buffer.from(`\0${user}\0${password}`),
  answer: () => undefined,
};

const login: SaslMechanism = {
  name: 'LOGIN',
  plaintext: true,
  initial: () => undefined,
  answer({ user, password }, _challenge, step) {
    return step === 0 ? Buffer.from(user) : step === 1 ? Buffer.from(password) : undefined;
  },
};

/** The strongest first. */
const MECHANISMS: readonly SaslMechanism[] = [cramMd5, plain, login];

/** The best of the offered mechanisms that may be used. */
export function chooseMechanism(offered: ReadonlySet<string>, allowPlaintext: boolean): SaslMechanism | undefined {
  return MECHANISMS.find(({ name, plaintext }) => offered.has(name) && (allowPlaintext || !plaintext));
}
