/** `kubectl postfleet conf`: parameters and services as the MailServer's pods have them, by postconf(1) in one of them. */
import { writeTo } from '../../lib/util/write-stream.ts';
import { usage } from './options.ts';
import type { PluginCommand } from './plugin-command.ts';
import { remoteOutput } from './remote-command.ts';
import { withoutPasswords } from './without-passwords.ts';

const PARAMETER = /^[A-Za-z][\w.-]*$/;

export const conf: PluginCommand = {
  name: 'conf',
  summary: 'show main.cf and master.cf as they are in force',
  synopsis: '[PARAMETER…] [--all | --defaults | --master]',
  help: `Without names: what differs from the defaults. With names: these parameters. Values are shown as they are written;
--expand puts values in the place of $names. Passwords in URLs are struck out.

      --all         every parameter
      --defaults    defaults in the place of values
      --master      the services of master.cf
      --expand      expand $names

With -o json: an object with a text for each parameter; not with --master.`,
  options: {
    all: { type: 'boolean' },
    defaults: { type: 'boolean' },
    master: { type: 'boolean' },
    expand: { type: 'boolean' },
  },
  validate(request) {
    const chosen = ['all', 'defaults', 'master'].filter((name) => request.flag(name));
    if (chosen.length > 1) throw usage(`--${chosen.join(' and --')} exclude each other`);
    if (request.flag('master') && request.output === 'json') throw usage('--master has no JSON form');
    if (request.flag('all') && request.operands.length > 0) throw usage('names and --all exclude each other');
    const wrong = request.flag('master') ? undefined : request.operands.find((name) => !PARAMETER.test(name));
    if (wrong !== undefined) throw usage(`"${wrong}" is no name of a parameter`);
  },
  async run({ request, cluster, mailServer, io }) {
    const options = { cluster, mailServer: mailServer.metadata.name, stderr: io.stderr };
    const argv = ['postconf', ...letters(request), ...request.operands];
    const { status, output } = await remoteOutput(options, { argv });
    const shown = withoutPasswords(output);
    const json = (): string => `${JSON.stringify(parseSettings(shown), undefined, 2)}\n`;
    await writeTo(io.stdout, request.output === 'json' ? json() : shown);
    return status;
  },
};

function letters(request: { flag(name: string): boolean; operands: readonly string[] }): string[] {
  if (request.flag('master')) return ['-M'];
  const found = request.flag('defaults') ? ['-d'] : [];
  if (!request.flag('all') && !request.flag('defaults') && request.operands.length === 0) found.push('-n');
  if (request.flag('expand')) found.push('-x');
  return found;
}

/** "name = value" lines as an object. */
export function parseSettings(output: string): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const line of output.split('\n')) {
    const [, name, value = ''] = /^(\S+) = ?(.*)$/.exec(line) ?? [];
    if (name !== undefined) settings[name] = value;
  }
  return settings;
}
