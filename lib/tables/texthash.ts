/** `texthash:/path`: a postmap source that is read into memory as it is (DATABASE_README); changes are followed. */

import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { decodeBytes } from '../util/byte-text.ts';
import { systemErrorText } from './file-value.ts';
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { collectEntries, postmapEntries } from './postmap-source.ts';
import { ReloadingFile } from './reloading.ts';
import {
  type LookupResult,
  type MaybePromise,
  ownerFromUserId,
  type Table,
  TableOpenError,
  type TableOwner,
} from './table.ts';

/** The rows of a source file, following its changes. */
class SourceTable extends FixedTable {
  readonly #file: ReloadingFile<Map<string, string>>;

  constructor(request: OpenRequest, owner: TableOwner, file: ReloadingFile<Map<string, string>>) {
    super(request.type, request.name, owner, request.context, request.flags);
    this.#file = file;
  }

  protected find(key: string): MaybePromise<LookupResult> {
    const rows = this.#file.current();
    return rows instanceof Promise ? rows.then((read) => read.get(key)) : rows.get(key);
  }

  entries(): Iterable<readonly [string, string]> {
    return this.#file.last.entries();
  }
}

/** A table straight from its source; also what an indexed type is where nobody has run postmap. */
export async function openSourceTable(request: OpenRequest): Promise<Table> {
  const { context, flags } = request;
  const path = resolve(context.directory, request.name);
  const load = async (): Promise<Map<string, string>> => {
    const options = {
      file: request.name,
      directory: context.directory,
      flags,
      warn: (text: string) => context.warn(text),
    };
    return collectEntries(postmapEntries(decodeBytes(await readFile(path)), options), options);
  };
  try {
    const owner = ownerFromUserId(statSync(path).uid);
    return new SourceTable(
      request,
      owner,
      await ReloadingFile.open({ path, load, warn: (text) => context.warn(text) }),
    );
  } catch (error) {
    throw new TableOpenError(`open ${request.name}: ${systemErrorText(error)}`);
  }
}

export { openSourceTable as openTableType };
