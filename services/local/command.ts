/**
 * Commands of aliases, .forward files and mailbox_command: how they are started and what they find in the environment.
 * See local(8), EXTERNAL COMMAND DELIVERY.
 *
 * A command is run directly unless it has characters that mean something to a shell, or begins with a word that only a
 * shell knows. What comes from the message is in environment variables alone, with `_` in place of every character
 * that command_expansion_filter does not list.
 */
import { existsSync } from 'node:fs';
import type { DeliveryRecipient, DeliveryRequest } from '../../lib/clients/protocols.ts';
import { exportedEnvironment } from '../../lib/config/environment.ts';
import type { Rights } from '../../lib/delivery/rights.ts';
import type { Command } from '../../lib/delivery/run-command.ts';
import type { User } from '../../lib/util/passwd.ts';
import { expandForRecipient, keepOnly } from './macros.ts';
import type { LocalRecipient } from './recipient.ts';
import type { LocalSettings } from './settings.ts';

const PATH = '/usr/bin:/bin';
const PLAIN = /^[A-Za-z0-9_@%+=:,./ \t-]+$/;
const SHELL_WORDS = new Set(
  '. : alias bg break case cd command continue do done elif else esac eval exec exit export fc fg fi for getopts hash if in jobs read readonly return set shift test then times trap type ulimit umask unalias unset until wait while'.split(
    ' ',
  ),
);

export interface CommandOrder {
  readonly command: string;
  readonly request: DeliveryRequest;
  readonly original: DeliveryRecipient;
  readonly recipient: LocalRecipient;
  readonly sender: string;
  readonly user: User | undefined;
  readonly rights: Rights | undefined;
}

export function makeCommand(order: CommandOrder, settings: LocalSettings): Command {
  const { command, recipient, rights, user } = order;
  const directory = expandForRecipient(settings.commandDirectory, recipient, user, settings.directoryFilter);
  return {
    argv: commandLine(command, settings.commandShell),
    name: command,
    rights,
    // Postfleet has no queue directory; where the host has none either, commands start at the root.
    directory: directory || (existsSync(settings.workingDirectory) ? settings.workingDirectory : '/'),
    environment: environment(order, settings),
    timeLimit: settings.commandTimeLimit,
  };
}

/** Program and arguments. */
export function commandLine(command: string, shell: string): string[] {
  if (shell !== '') return [...shell.split(/[ \t]+/).filter((word) => word !== ''), command];
  const words = command.split(/[ \t]+/).filter((word) => word !== '');
  // `name=value` in front is an assignment, which only a shell makes.
  if (PLAIN.test(command) && !SHELL_WORDS.has(words[0] ?? '') && !words[0]?.includes('=')) return words;
  return ['/bin/sh', '-c', command];
}

function environment(order: CommandOrder, settings: LocalSettings): Record<string, string> {
  const { request, original, recipient, sender, user } = order;
  const { client } = request;
  const variables: Record<string, string | undefined> = {
    SHELL: user?.shell,
    HOME: user?.home,
    USER: recipient.user,
    LOGNAME: recipient.user,
    EXTENSION: recipient.extension,
    DOMAIN: recipient.domain,
    LOCAL: recipient.local,
    ORIGINAL_RECIPIENT: original.originalAddress === '' ? original.address : original.originalAddress,
    RECIPIENT: recipient.address,
    SENDER: sender === '' ? 'MAILER-DAEMON' : sender,
    CLIENT_ADDRESS: client?.address,
    CLIENT_HELO: client?.heloName,
    CLIENT_HOSTNAME: client?.name,
    CLIENT_PROTOCOL: client?.protocolName,
    SASL_METHOD: client?.saslMethod,
    SASL_SENDER: client?.saslSender,
    SASL_USERNAME: client?.saslUsername,
  };
  const result: Record<string, string> = {
    PATH,
    ...exportedEnvironment(settings.exported),
    MAIL_CONFIG: settings.configDirectory,
  };
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined && value !== '') result[name] = keepOnly(value, settings.commandFilter);
  }
  return result;
}
