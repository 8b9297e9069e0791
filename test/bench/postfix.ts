/**
 * Debian's Postfix with a configuration of its own: below the run's folder, on loopback, tuned so that nothing but the work
 * itself holds it up. No in_flow_delay, processes and concurrency above the sessions of any scenario, no chroot, no limit
 * on clients, its log in a file written by postlogd.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../support/until.ts';
import type { MailSystem, SystemOptions } from './system.ts';
import { assertFree, waitForSmtp } from './wait.ts';

const run = promisify(execFile);
const PROCESSES = 400;

function mainCf({ directory, sinkPort, mode }: SystemOptions): string {
  return `compatibility_level = 3.6
queue_directory = ${directory}/spool
data_directory = ${directory}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example.org
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:${sinkPort}
maillog_file_prefixes = ${directory}
maillog_file = ${directory}/mail.log
in_flow_delay = 0
default_process_limit = ${PROCESSES}
default_destination_concurrency_limit = ${PROCESSES}
initial_destination_concurrency = 50
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_recipient_restrictions = ${mode === 'accept' ? 'check_client_access static:HOLD, ' : ''}permit_mynetworks, reject
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtp_tls_security_level = none
smtpd_tls_security_level = none
hash_queue_names = deferred, defer
qmgr_message_active_limit = 20000
`;
}

function masterCf(port: number): string {
  const daemons = [
    'cleanup',
    'rewrite trivial-rewrite',
    'bounce',
    'defer bounce',
    'trace bounce',
    'verify',
    'flush',
    'proxymap',
    'smtp',
    'relay smtp',
    'showq',
    'error',
    'retry error',
    'discard',
    'anvil',
    'scache',
  ];
  const lines = daemons.map((daemon) => {
    const [name, command = name] = daemon.split(' ');
    const limit = /^(verify|anvil|scache)$/.test(name!)
      ? '1'
      : /^(cleanup|bounce|defer|trace)$/.test(name!)
        ? '0'
        : '-';
    // The services that unprivileged commands and other daemons reach by the public folder.
    const isPrivate = /^(cleanup|flush|showq)$/.test(name!) ? 'n' : '-';
    return `${name} unix ${isPrivate} - n - ${limit} ${command}`;
  });
  return [
    `127.0.0.1:${port} inet n - n - ${PROCESSES} smtpd`,
    'pickup unix n - n 60 1 pickup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'postlog unix-dgram n - n - 1 postlogd',
    ...lines,
    '',
  ].join('\n');
}

export const postfix: MailSystem = {
  name: 'postfix',
  warmUp: 2000,
  async start(options) {
    const { directory, smtpPort } = options;
    await assertFree(smtpPort);
    if (!existsSync('/usr/sbin/postfix')) throw new Error("Debian's postfix is not installed: apt-get install postfix");
    const configuration = join(directory, 'etc');
    for (const path of [configuration, join(directory, 'spool'), join(directory, 'data')])
      mkdirSync(path, { recursive: true });
    writeFileSync(join(configuration, 'main.cf'), mainCf(options));
    writeFileSync(join(configuration, 'master.cf'), masterCf(smtpPort));
    await run('chown', ['postfix', join(directory, 'data')]);
    // Every folder above the spool must let the postfix user through.
    await run('chmod', ['a+x', directory, configuration]);
    await run('postfix', ['-c', configuration, 'start']);
    const pidFile = join(directory, 'spool/pid/master.pid');
    await until('postfix master', () => existsSync(pidFile));
    const pid = Number(readFileSync(pidFile, 'utf8').trim());
    const kill = (): void => void process.kill(pid, 'SIGTERM');
    process.once('exit', kill);
    await waitForSmtp(smtpPort);
    return {
      pid,
      held: async () => readdirSync(join(directory, 'spool/hold')).length,
      async [Symbol.asyncDispose]() {
        await run('postfix', ['-c', configuration, 'stop']);
        process.off('exit', kill);
      },
    };
  },
};
