/**
 * proxymap(8): looks keys up for services that should not open a table themselves, so that a fleet has one pool of connections
 * to a database in place of one for each process. Any service reaches it by `proxy:type:name` in main.cf.
 *
 * Requests (proto/postfleet/v1/proxymap.proto): a table, a key, and how the table is to be opened. Only tables that
 * proxy_read_maps lists, as `proxy:type:name`, are opened; each once, with the first lookup, and held until a reload or
 * the end. Lookups of one table do not wait for those of another.
 *
 * State: open tables. May run anywhere, in any number.
 * Logs each unapproved table once, and what the tables log. A table that fails is a reply, `RETRY`, with the reason.
 * Limits: it writes into no table (docs/master-cf.md, proxywrite).
 * @see proxymap(8), DATABASE_README
 */
import { type LookupReply, type LookupRequest, LookupStatus } from '../../lib/clients/protocols.ts';
import { rpcServer } from '../../lib/server/rpc-server.ts';
import { ownTableContext } from '../../lib/server/table-context.ts';
import { TableError } from '../../lib/tables/table.ts';
import { decodeBytes, encodeBytes } from '../../lib/util/byte-text.ts';
import { approvedTables } from './approved-tables.ts';
import { OpenTables } from './open-tables.ts';

/** Unapproved tables that are logged: callers are services of ours, so there are few. */
const MAX_LOGGED = 1000;

const NOTHING = Buffer.alloc(0);
const NOT_FOUND: LookupReply = { status: LookupStatus.NOT_FOUND, value: NOTHING, reason: '' };
const DENIED: LookupReply = { status: LookupStatus.DENIED, value: NOTHING, reason: '' };

export const service = rpcServer({
  name: 'proxymap',
  parameters: ['proxy_read_maps'],
  async open(context) {
    const { configuration, log } = context;
    const approved = approvedTables(configuration.text('proxy_read_maps'));
    const tables = new OpenTables(ownTableContext(context));
    const logged = new Set<string>();

    function deny(table: string): LookupReply {
      if (!logged.has(table) && logged.size < MAX_LOGGED) {
        logged.add(table);
        log.warning(`request for unapproved table: "${table}"`);
        log.warning(`to approve this table for read-only access, list proxy:${table} in main.cf:proxy_read_maps`);
      }
      return DENIED;
    }

    async function lookup({ table, key, flags }: LookupRequest): Promise<LookupReply> {
      if (!approved.has(table)) return deny(table);
      try {
        const value = await (await tables.get(table, flags)).lookup(decodeBytes(key));
        if (value === undefined) return NOT_FOUND;
        return { status: LookupStatus.FOUND, value: encodeBytes(value), reason: '' };
      } catch (error) {
        if (!(error instanceof TableError)) throw error;
        return { status: LookupStatus.RETRY, value: NOTHING, reason: error.message };
      }
    }

    return { proxymap: { lookup }, [Symbol.asyncDispose]: () => tables[Symbol.asyncDispose]() };
  },
});
