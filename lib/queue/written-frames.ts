/**
 * Frames that this process has written to the incoming logs, for who reads these logs in the same process: the server
 * need not send them back (docs/adr/0009-frames-by-hand.md). A session thread tells the main thread through a port; other processes
 * are not told, and read the log.
 *
 * What is told is on disk, under the sequence that the server gave it. It may come in another order than it was written,
 * and nothing is promised: who needs all of a log looks for gaps, and reads what is missing.
 */
import type { MessagePort } from 'node:worker_threads';

export interface WrittenFrame {
  readonly stream: string;
  readonly sequence: number;
  readonly bytes: Buffer;
}

/** A Buffer arrives at another thread as the array that it is. */
interface PortFrame extends Omit<WrittenFrame, 'bytes'> {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Reader = (frame: WrittenFrame) => void;

export class WrittenFrames {
  readonly #readers = new Map<string, Set<Reader>>();
  #outlet: MessagePort | undefined;

  /** `bytes` must be the whole of their buffer, and are the reader's from here on. */
  tell(stream: string, sequence: number, bytes: Buffer<ArrayBuffer>): void {
    this.#read({ stream, sequence, bytes });
    this.#outlet?.postMessage({ stream, sequence, bytes } satisfies PortFrame, [bytes.buffer]);
  }

  #read(frame: WrittenFrame): void {
    for (const reader of this.#readers.get(frame.stream) ?? []) reader(frame);
  }

  /** Tells `reader` of every frame of that stream until what it returns is disposed of. */
  listen(stream: string, reader: Reader): Disposable {
    const readers = this.#readers.get(stream) ?? new Set();
    this.#readers.set(stream, readers.add(reader));
    return {
      [Symbol.dispose]: () => {
        readers.delete(reader);
        if (readers.size === 0 && this.#readers.get(stream) === readers) this.#readers.delete(stream);
      },
    };
  }

  /** From here on all is told to who holds the other end. */
  tellThrough(port: MessagePort): void {
    this.#outlet = port;
  }

  /** Tells the readers here what another thread tells through `port`. */
  hearFrom(port: MessagePort): void {
    port.on('message', ({ stream, sequence, bytes }: PortFrame) => {
      this.#read({ stream, sequence, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
    });
    port.unref();
  }
}
