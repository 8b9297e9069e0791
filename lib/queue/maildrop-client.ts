/**
 * What sendmail(1) and postdrop(1) share: a connection to NATS for one message, and errors in words for the user.
 *
 * Rejects with FatalError: exit status EX_TEMPFAIL where the message was not, or perhaps not, stored; EX_UNAVAILABLE where
 * it is too large or its user may not submit. Other errors of the content pass.
 */
import { userInfo } from 'node:os';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Configuration } from '../config/settings.ts';
import { natsServers, withoutPassword } from '../server/nats-servers.ts';
import { mayUseSender } from '../tables/login-sender.ts';
import { StringList } from '../tables/match-list.ts';
import { openMaps } from '../tables/open.ts';
import { type TableContext, TableError } from '../tables/table.ts';
import { EX, FatalError } from '../util/errors.ts';
import { dropMessage, ensureMaildrop, MaildropDamaged, type Submission } from './maildrop.ts';

const CONNECT_TIMEOUT = 5000;

/** Stores a message in MAILDROP. Resolves when it is on disk there. */
export async function postMessage(
  configuration: Configuration,
  submission: Submission,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const url = configuration.text('postfleet_nats_url');
  if (url === '') {
    throw new FatalError(
      'postfleet_nats_url is empty: set it to the address of the NATS server, or start the instance',
    );
  }
  const connection = await open(url);
  try {
    await ensureMaildrop(
      await jetstreamManager(connection, { checkAPI: false }),
      configuration.integer('postfleet_replicas'),
    );
    await dropMessage(jetstream(connection), submission, content);
  } catch (error) {
    if (error instanceof FatalError || error instanceof MaildropDamaged) throw error;
    throw new FatalError(`mail submission failed: ${reasonOf(error)}; the message was perhaps not kept`, {
      cause: error,
      exitCode: EX.TEMPFAIL,
    });
  } finally {
    await connection.close();
  }
}

async function open(url: string): Promise<NatsConnection> {
  try {
    return await connect({ ...natsServers(url), timeout: CONNECT_TIMEOUT, reconnect: false });
  } catch (error) {
    throw new FatalError(
      `mail submission is unavailable: cannot reach NATS at ${withoutPassword(url)}: ${reasonOf(error)}`,
      {
        cause: error,
        exitCode: EX.TEMPFAIL,
      },
    );
  }
}

function reasonOf(error: unknown): string {
  const { message, cause, code } = error as Error & { code?: string | number };
  const inner = cause as { code?: string; message?: string } | undefined;
  return message || inner?.code || inner?.message || String(code ?? error);
}

/** Who submits a message, as the operating system says. */
export interface Submitter {
  /** Login name; "uid:1000" where the user id has no account, as in a container. */
  readonly login: string;
  readonly uid: number;
}

export function callingUser(): Submitter {
  const uid = process.getuid?.() ?? 0;
  try {
    return { login: userInfo().username, uid };
  } catch {
    return { login: `uid:${uid}`, uid };
  }
}

/** Throws where authorized_submit_users does not list the user, or local_login_sender_maps does not allow the sender. */
export async function checkSubmitter(configuration: Configuration, user: Submitter, sender: string): Promise<void> {
  const { login, uid } = user;
  const users = configuration.text('authorized_submit_users');
  const senders = configuration.text('local_login_sender_maps');
  const end = new AbortController();
  const context: TableContext = { directory: configuration.directory, warn: () => undefined, signal: end.signal };
  try {
    if (users !== 'static:anyone' && !(await isListed(users, login, context))) {
      throw new FatalError(`User ${login}(${uid}) is not allowed to submit mail`, { exitCode: EX.UNAVAILABLE });
    }
    if (senders !== 'static:*' && !(await isAllowedSender(senders, login, sender, configuration, context))) {
      throw new FatalError(`User ${login}(${uid}) is not allowed to send mail as <${sender}>`, { exitCode: EX.NOPERM });
    }
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    throw new FatalError(`cannot tell whether ${login}(${uid}) may submit mail: ${error.message}`, {
      cause: error,
      exitCode: EX.TEMPFAIL,
    });
  } finally {
    end.abort();
  }
}

async function isListed(users: string, login: string, context: TableContext): Promise<boolean> {
  await using list = await StringList.open('authorized_submit_users', users, context);
  return await list.matches(login);
}

async function isAllowedSender(
  specs: string,
  login: string,
  sender: string,
  configuration: Configuration,
  context: TableContext,
): Promise<boolean> {
  await using maps = await openMaps('local_login_sender_maps', specs, context);
  return await mayUseSender(maps, login, sender, {
    recipientDelimiter: configuration.text('recipient_delimiter'),
    nullSender: configuration.text('empty_address_local_login_sender_maps_lookup_key'),
    wildcard: '*',
  });
}

/** Passes content on and throws where it grows beyond message_size_limit; 0 is no limit. */
export async function* limitSize(
  content: AsyncIterable<Buffer>,
  limit: number,
  { login, uid }: Submitter,
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of content) {
    size += piece.length;
    if (limit > 0 && size > limit) {
      throw new FatalError(`${login}(${uid}): message file too big`, { exitCode: EX.UNAVAILABLE });
    }
    yield piece;
  }
}
