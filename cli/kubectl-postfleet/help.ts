/** The help of the plugin and of each command, from the table of commands. Pure. */
import type { PluginCommand } from './plugin-command.ts';

const COMMON = `Options of every command:
  -n, --namespace NAME     namespace of the MailServer (that of the context)
  -m, --mailserver NAME    the MailServer, where the namespace has several
  -o, --output FORMAT      text or json; -j is -o json
      --context NAME       context of the kubeconfig
      --kubeconfig FILE    kubeconfig (KUBECONFIG, then ~/.kube/config)
  -h, --help               help of the command
`;

export function overview(commands: readonly PluginCommand[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`).join('');
  return `kubectl postfleet COMMAND [OPTION…]: look after a MailServer of Postfleet\n\n${lines}\n${COMMON}`;
}

export function commandHelp({ name, synopsis, summary, help }: PluginCommand): string {
  const usage = `usage: kubectl postfleet ${name} ${synopsis}`.trimEnd();
  return `${usage}\n\n${name}: ${summary}\n\n${help}\n\n${COMMON}`;
}
