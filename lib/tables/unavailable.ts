/**
 * The table that stands in for one that could not be opened: the reason was logged once with level error, every lookup
 * repeats it as a warning and is a temporary failure, so mail waits until somebody has repaired the table.
 */
import type { OpenRequest } from './open.ts';
import { type Table, TableError, type TableOwner, TRUSTED_OWNER } from './table.ts';

export class UnavailableTable implements Table {
  readonly type: string;
  readonly name: string;
  readonly partialKeys = true;
  readonly owner: TableOwner = TRUSTED_OWNER;
  readonly reason: string;
  #warn: (text: string) => void;

  constructor(request: OpenRequest, reason: string) {
    this.type = request.type;
    this.name = request.name;
    this.reason = reason;
    this.#warn = (text) => request.context.warn(text);
  }

  lookup(): never {
    const text = `${this.type}:${this.name} is unavailable. ${this.reason}`;
    this.#warn(text);
    throw new TableError(text);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
