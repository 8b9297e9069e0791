/**
 * Entries that could not be understood or stored: kept whole, for a person to look at, out of the way of the others.
 */
import type { ClientBase } from 'pg';
import type { MessageKey } from '../message-key.ts';

/** What is kept of an entry. */
export interface SetAside {
  readonly reason: string;
  /** As it stands in the frame; the whole frame where that is damaged. */
  readonly envelope: Buffer;
  readonly content: Buffer;
  /** Of the chunks in the CONTENT stream that it refers to, as far as that is known: they are not swept. */
  readonly subjects: readonly string[];
}

export async function setCorruptAside(client: Pick<ClientBase, 'query'>, row: MessageKey & SetAside): Promise<void> {
  // What a reason quotes must not keep the entry from being set aside: Postgres takes no NUL in a text.
  const reason = row.reason.replaceAll('\0', '');
  await client.query(
    `insert into corrupt (log, sequence, entry, reason, envelope, content, subjects) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict do nothing`,
    [row.log, row.sequence, row.entry, reason, row.envelope, row.content, row.subjects],
  );
}
