/**
 * Entries that could not be understood or stored: kept for a person to look at, out of the way of the others.
 */
import type { ClientBase } from 'pg';
import type { MessageKey } from '../message-key.ts';

export async function setCorruptAside(
  client: Pick<ClientBase, 'query'>,
  row: MessageKey & { readonly reason: string; readonly envelope: Buffer },
): Promise<void> {
  await client.query(
    'insert into corrupt (log, sequence, entry, reason, envelope) values ($1, $2, $3, $4, $5) on conflict do nothing',
    [row.log, row.sequence, row.entry, row.reason, row.envelope],
  );
}
