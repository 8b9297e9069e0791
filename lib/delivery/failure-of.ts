/** A failure whose class of status says by itself whether it is final: 5.x.x bounces, 4.x.x is tried again. Pure. */
import { type Dsn, failure } from '../mail/dsn.ts';

export function failureOf(status: string, text: string): Dsn {
  return failure(status.startsWith('5') ? 'failed' : 'delayed', status, text);
}
