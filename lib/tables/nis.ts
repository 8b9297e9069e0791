/** `nis:` and `nisplus:` tables: NIS is not spoken here; whoever has such tables is told what to use in their place. */
import type { OpenRequest } from './open.ts';
import { type Table, TableOpenError } from './table.ts';

export function openTableType(request: OpenRequest): Table {
  const spec = `${request.type}:${request.name}`;
  throw new TableOpenError(
    `${spec}: NIS lookups are not supported; export the map (ypcat -k ${request.name} >file) and use texthash:file, or use ldap:`,
  );
}
