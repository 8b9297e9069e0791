/** The value of postfleet_nats_url in the form in which the client of NATS takes it. Pure. */
import { FatalError } from '../util/errors.ts';

/** Without what a log must not show. */
export const withoutPassword = (url: string): string => url.replace(/\/\/[^/@]*@/, '//…@');

/** `nats://token@host:port` and `nats://user:password@host:port`, several separated by commas; one set of credentials. */
export function natsServers(url: string): { servers: string[]; token?: string; user?: string; pass?: string } {
  const parsed = url.split(/[\s,]+/).map((item) => {
    const text = item.includes('://') ? item : `nats://${item}`;
    if (!URL.canParse(text))
      throw new FatalError(`postfleet_nats_url: "${withoutPassword(item)}": expected nats://[token@]host:port`);
    return new URL(text);
  });
  const servers = parsed.map(({ protocol, host }) => `${protocol}//${host}`);
  const { username, password } = parsed.find((item) => item.username !== '') ?? { username: '', password: '' };
  if (username === '') return { servers };
  const name = decodeURIComponent(username);
  return password === '' ? { servers, token: name } : { servers, user: name, pass: decodeURIComponent(password) };
}
