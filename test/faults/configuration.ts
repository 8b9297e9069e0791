/**
 * The configuration of a run: destinations that lead to the sinks, a mailbox for everything else, and back-off times of
 * seconds, so that what is deferred is tried again within the run.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../..' : '../../..');
/** Where the code is that runs: the sources or dist/. */
export const CODE = resolve(import.meta.dirname, '../..');
export const EXTENSION = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';

export type Shape = 'one' | 'many';

/** Domain whose mail goes to the sink at that place. */
export const sinkDomain = (at: number): string => `d${at}.test`;
/** Domain whose mail goes to the sink by a transport that `deferTransports` can hold back. */
export const HELD_DOMAIN = 'held.test';
export const BOX_DOMAIN = 'box.test';
export const SENDER_DOMAIN = 'sender.test';
/** Domain whose mail local(8) delivers, to the mailbox of the part of the name before the first "-". */
export const LOCAL_DOMAIN = 'local.test';
/** Domain whose mail error(8) returns. */
export const GONE_DOMAIN = 'gone.test';
/** Mailboxes below mail/ of the instance's directory. */
export const BOX = 'box';
export const LOCAL_BOX = 'ok';
export const SENDER_BOX = 'sender';

export interface ConfigurationOptions {
  readonly shards: number;
  readonly sinkPorts: readonly number[];
  readonly mailDirectory: string;
  /** Further lines of main.cf. */
  readonly settings?: string;
}

/**
 * Services that the runs have no use for, each of which would be one more process: tlsmgr, scache and verify are no processes of
 * their own; tables are inline and ask no proxymap; lmtp is the program of smtp; of what discard takes nothing can be checked;
 * flush answers ETRN alone.
 */
const LEFT_OUT = new Set(['tlsmgr', 'scache', 'proxymap', 'verify', 'lmtp', 'discard', 'flush']);

const exists = (command: string): boolean => existsSync(join(CODE, 'services', command, `main.${EXTENSION}`));

/** The sample's entries, as far as they are used, and a transport of our own. */
function masterCf(): string {
  const entries = readFileSync(join(ROOT, 'etc/postfleet/master.cf'), 'utf8')
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
    .filter((line) => {
      const [name = '', , , , , , , command = ''] = line.split(/\s+/);
      return !LEFT_OUT.has(command) && name !== 'relay' && exists(command);
    });
  return `${entries.join('\n')}\nheld unix - - n - - smtp\n`;
}

/** Returns the number of services. */
export function writeConfiguration(directory: string, options: ConfigurationOptions): number {
  const { shards, sinkPorts, mailDirectory, settings = '' } = options;
  const routes = [
    ...sinkPorts.map((port, at) => `{ ${sinkDomain(at)} = smtp:[127.0.0.1]:${port} }`),
    `{ ${HELD_DOMAIN} = held:[127.0.0.1]:${sinkPorts[0]} }`,
    `{ ${GONE_DOMAIN} = error:5.1.2 nobody is there }`,
  ];
  mkdirSync(directory, { recursive: true });
  const master = masterCf();
  writeFileSync(join(directory, 'master.cf'), master);
  writeFileSync(
    join(directory, 'main.cf'),
    `compatibility_level = 3.12
myhostname = faults.test
mydestination = ${LOCAL_DOMAIN}
local_recipient_maps = inline:{ ${LOCAL_BOX}=${LOCAL_BOX} }
alias_maps =
recipient_delimiter = -
mail_spool_directory = ${mailDirectory}/
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
smtpd_client_event_limit_exceptions =
smtpd_peername_lookup = no
smtp_tls_security_level = none
transport_maps = inline:{ ${routes.join(', ')} }
virtual_mailbox_domains = ${BOX_DOMAIN} ${SENDER_DOMAIN}
virtual_mailbox_maps = inline:{ @${BOX_DOMAIN}=${BOX}/, @${SENDER_DOMAIN}=${SENDER_BOX}/ }
virtual_mailbox_base = ${mailDirectory}
postfleet_mailbox_owner = self
postfleet_log_format = json
postfleet_shards = ${shards}
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
delay_warning_time = 0
${settings}
`,
  );
  return master.trim().split('\n').length;
}
