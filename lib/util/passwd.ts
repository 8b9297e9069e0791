/**
 * Users and groups of the host, from /etc/passwd and /etc/group, read again when a file has changed.
 *
 * Known limit: other sources of the name service switch (LDAP, NIS, systemd-homed) are not asked; users that exist only
 * there are reached through alias_maps, virtual_mailbox_maps or an LMTP transport.
 *
 * Throws the system error where a file exists and cannot be read.
 */
import { readFileSync, statSync } from 'node:fs';

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Empty where the entry names none. */
  readonly home: string;
  readonly shell: string;
}

/** Rows of a file by name, good for as long as the file does not change. */
class Rows {
  readonly #path: string;
  #stamp = '';
  #checked = Number.NEGATIVE_INFINITY;
  #rows = new Map<string, readonly string[]>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Looks at the file at most once a second. */
  get rows(): ReadonlyMap<string, readonly string[]> {
    const now = performance.now();
    if (now - this.#checked < 1000) return this.#rows;
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    const stamp = stat === undefined ? 'none' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
    if (stamp !== this.#stamp) {
      this.#rows = stat === undefined ? new Map() : parse(readFileSync(this.#path, 'utf8'));
      this.#stamp = stamp;
    }
    this.#checked = now;
    return this.#rows;
  }
}

function parse(text: string): Map<string, readonly string[]> {
  const rows = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = line.split(':');
    const name = fields[0]!;
    if (name !== '' && !rows.has(name)) rows.set(name, fields);
  }
  return rows;
}

export class UserDatabase {
  readonly #passwd: Rows;
  readonly #group: Rows;

  constructor(directory = '/etc') {
    this.#passwd = new Rows(`${directory}/passwd`);
    this.#group = new Rows(`${directory}/group`);
  }

  user(name: string): User | undefined {
    const fields = this.#passwd.rows.get(name);
    return fields === undefined ? undefined : toUser(fields);
  }

  userById(uid: number): User | undefined {
    for (const fields of this.#passwd.rows.values()) {
      if (fields[2] === String(uid)) return toUser(fields);
    }
    return undefined;
  }

  /** The id of a group by its name. */
  group(name: string): number | undefined {
    const id = this.#group.rows.get(name)?.[2];
    return id === undefined || !/^[0-9]+$/.test(id) ? undefined : Number(id);
  }
}

function toUser([name = '', , uid = '', gid = '', , home = '', shell = '']: readonly string[]): User | undefined {
  if (!/^[0-9]+$/.test(uid) || !/^[0-9]+$/.test(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home, shell };
}
