/**
 * smtpd_reject_footer and smtpd_reject_footer_maps (postconf(5)): text for each 4xx and 5xx reply. The tables are asked for
 * the whole reply and go before the parameter. `$name` stands for client, client_address, client_name, client_port,
 * helo_name, sender, recipient, server_name, localtime and their like.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { mailDate } from '../../lib/mail/date.ts';
import { addReplyFooter } from '../../lib/smtp/reply-footer.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';
import { TableError } from '../../lib/tables/table.ts';
import { expansionFilter } from './restrictions/expansion-filter.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';

export interface Footer {
  (session: Session, reply: string): MaybePromise<string>;
  close(): Promise<void>;
}

/** Undefined where neither parameter is set. */
export async function openFooter(configuration: Configuration, tables: TableContext): Promise<Footer | undefined> {
  const text = configuration.text('smtpd_reject_footer');
  const parameter = 'smtpd_reject_footer_maps';
  const maps = await openMaps(parameter, configuration.text(parameter), tables);
  if (text === '' && maps.isEmpty) return undefined;
  const filter = expansionFilter(configuration.text('smtpd_expansion_filter'));
  const add = (session: Session, reply: string, template: string): string => {
    if (template === '') return reply;
    const values = attributes(session);
    const result = addReplyFooter(reply, template, (name) => {
      const value = values[name]?.();
      return value === undefined ? undefined : filter(value);
    });
    if ('reply' in result) return result.reply;
    tables.warn(
      `smtpd_reject_footer: ${result.error === 'bad-macro' ? 'bad macro' : 'bad reply'} in footer text: ${template}`,
    );
    return reply;
  };
  const footer = (session: Session, reply: string): MaybePromise<string> => {
    if (maps.isEmpty) return add(session, reply, text);
    const failed = (error: unknown): string => {
      if (!(error instanceof TableError)) throw error;
      return add(session, reply, text);
    };
    try {
      const found = maps.lookup(reply);
      if (!(found instanceof Promise)) return add(session, reply, found ?? text);
      return found.then((own) => add(session, reply, own ?? text), failed);
    } catch (error) {
      return failed(error);
    }
  };
  return Object.assign(footer, { close: () => maps.close() });
}

function attributes(session: Session): Readonly<Record<string, () => string>> {
  const { subject, settings, connection } = session;
  const { peer } = subject;
  const local = (address = ''): string => address.slice(0, Math.max(0, address.lastIndexOf('@')) || undefined);
  const domain = (address = ''): string => (address.includes('@') ? address.slice(address.lastIndexOf('@') + 1) : '');
  return {
    client: () => subject.clientNameAddress,
    client_address: () => peer.address,
    client_name: () => peer.name,
    client_port: () => String(peer.port),
    helo_name: () => subject.heloName,
    localtime: () => mailDate(Date.now()),
    recipient: () => subject.recipient ?? '',
    recipient_name: () => local(subject.recipient),
    recipient_domain: () => domain(subject.recipient),
    sender: () => subject.sender ?? '',
    sender_name: () => local(subject.sender),
    sender_domain: () => domain(subject.sender),
    server_name: () => settings.myhostname,
    server_address: () => connection.localAddress ?? '',
    server_port: () => String(connection.localPort ?? ''),
  };
}
