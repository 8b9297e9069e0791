/**
 * Writing to a stream no faster than it is read, so that a long listing into a slow pipe costs no memory.
 *
 * A reader that goes away (`postqueue -p | head`) is the end of the work, not an error: `ReaderGone`.
 */
import { once } from 'node:events';

export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** Resolves when the stream can take more. Rejects with ReaderGone where nobody reads any more. */
export async function writeTo(stream: NodeJS.WritableStream, data: string | Buffer): Promise<void> {
  if (!stream.writable) throw new ReaderGone();
  if (stream.write(data)) return;
  try {
    await once(stream, 'drain');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw new ReaderGone();
    throw error;
  }
}
