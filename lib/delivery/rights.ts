/** As whom mail is delivered: users and groups of the operating system. */
import type { UserDatabase } from '../util/passwd.ts';

/** Whose rights to work with. */
export interface Rights {
  readonly uid: number;
  readonly gid: number;
}

/** Can this process work with the rights of others? */
export function canChangeRights(): boolean {
  return process.geteuid?.() === 0;
}

/** A user name, `user:group`, or `uid:gid`. */
export function rightsOf(text: string, users: UserDatabase): Rights | undefined {
  const [name = '', groupName] = text.split(':');
  const number = (digits: string): number | undefined => (/^[0-9]{1,10}$/.test(digits) ? Number(digits) : undefined);
  const user = users.user(name);
  const uid = user?.uid ?? number(name);
  const gid = groupName === undefined ? user?.gid : (users.group(groupName) ?? number(groupName));
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}
