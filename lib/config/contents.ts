/**
 * A name for what main.cf and master.cf say, by which a service, and whoever has put the files there, can tell that they
 * speak of the same configuration.
 */
import { createHash } from 'node:crypto';

/** Hash of the two texts. */
export function contentsHash(mainCf: string | Buffer, masterCf: string | Buffer): string {
  return createHash('sha256').update(mainCf).update('\0').update(masterCf).digest('hex').slice(0, 32);
}
