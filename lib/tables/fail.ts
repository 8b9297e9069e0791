/** `fail:label`: every lookup is a temporary failure; for tests of what a service does then (DATABASE_README). */
import type { OpenRequest } from './open.ts';
import { type Table, TableError, TRUSTED_OWNER } from './table.ts';

/** What postmap prints for it: the words of the C library for a status that only the application knows. */
export const APPLICATION_ERROR = 'Application error';

export function openTableType(request: OpenRequest): Table {
  const refuse = (): never => {
    throw new TableError(APPLICATION_ERROR);
  };
  const close = () => Promise.resolve();
  return {
    type: request.type,
    name: request.name,
    partialKeys: true,
    owner: TRUSTED_OWNER,
    lookup: refuse,
    entries: refuse,
    put: refuse,
    delete: refuse,
    close,
    [Symbol.asyncDispose]: close,
  } as Table;
}
