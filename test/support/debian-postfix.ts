/**
 * Debian's Postfix as a next hop and as a client: an instance of its own below a temporary folder, an smtpd on a free port of
 * 127.0.0.1 that takes mail for example.net and delivers it into one maildir, and relays everything else where it is told to. It
 * needs root, as Postfix does.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POSTFIX = '/usr/sbin/postfix';
const DELIVERY_LIMIT = 20_000;

export const withoutPostfix: string | false = !existsSync(POSTFIX)
  ? 'postfix is not installed'
  : process.getuid?.() === 0
    ? false
    : 'postfix starts as root only';

export interface DebianPostfix extends AsyncDisposable {
  readonly port: number;
  /** Waits until so many messages are in the maildir; their content, in the order of arrival. */
  messages(count: number): Promise<Buffer[]>;
}

export interface DebianPostfixOptions {
  /** The port of 127.0.0.1 that mail for other domains than example.net goes to. */
  readonly relayPort?: number;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function userId(name: string, flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
}

function mainCf(folder: string, nobody: number, group: number, { relayPort }: DebianPostfixOptions): string {
  const relayhost = relayPort === undefined ? '' : `[127.0.0.1]:${relayPort}`;
  return `compatibility_level = 3.6
queue_directory = ${folder}/spool
data_directory = ${folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = nexthop.example.net
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = ${folder}/mail.log
maillog_file_prefixes = ${folder}
smtpd_peername_lookup = no
smtpd_tls_security_level = none
in_flow_delay = 0
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
line_length_limit = 2048
virtual_mailbox_domains = example.net
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:${nobody}
virtual_gid_maps = static:${group}
virtual_minimum_uid = 1
relayhost = ${relayhost}
`;
}

function masterCf(port: number): string {
  const daemons = [
    'cleanup',
    'rewrite trivial-rewrite',
    'bounce',
    'defer bounce',
    'trace bounce',
    'error',
    'retry error',
  ];
  const unix = daemons.map((line) => {
    const [name, command = name] = line.split(' ');
    return `${name} unix - - n - 0 ${command}`;
  });
  return [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    ...unix,
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'proxymap unix - - n - - proxymap',
    'anvil unix - - n - 1 anvil',
    'virtual unix - n n - - virtual',
    'smtp unix - - n - - smtp',
    'postlog unix-dgram n - n - 1 postlogd',
    '',
  ].join('\n');
}

export async function debianPostfix(options: DebianPostfixOptions = {}): Promise<DebianPostfix> {
  const folder = mkdtempSync(join(tmpdir(), 'postfleet-postfix-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const [nobody, group] = [userId('nobody', '-u'), userId('nobody', '-g')];
  for (const name of ['etc', 'spool', 'data', 'mail']) mkdirSync(join(folder, name));
  chownSync(join(folder, 'data'), userId('postfix', '-u'), userId('postfix', '-g'));
  chownSync(join(folder, 'mail'), nobody, group);
  writeFileSync(join(folder, 'etc/main.cf'), mainCf(folder, nobody, group, options));
  writeFileSync(join(folder, 'etc/master.cf'), masterCf(port));
  const postfix = (command: string) =>
    execFileSync(POSTFIX, ['-c', join(folder, 'etc'), command], { stdio: 'ignore', env: { PATH: process.env.PATH } });
  postfix('start');
  const stop = () => {
    try {
      postfix('abort');
    } catch (error) {
      if (existsSync(join(folder, 'spool/pid/master.pid'))) throw error;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const inbox = join(folder, 'mail/all/new');
  return {
    port,
    async messages(count) {
      const giveUp = performance.now() + DELIVERY_LIMIT;
      for (;;) {
        const names = existsSync(inbox) ? readdirSync(inbox).sort() : [];
        if (names.length >= count) return names.map((name) => readFileSync(join(inbox, name)));
        if (performance.now() > giveUp) {
          throw new Error(
            `${names.length} of ${count} messages came:\n${readFileSync(join(folder, 'mail.log'), 'utf8')}`,
          );
        }
        await sleep(50);
      }
    },
    async [Symbol.asyncDispose]() {
      stop();
    },
  };
}
