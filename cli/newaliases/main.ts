/**
 * newaliases: builds the alias databases that alias_database lists, as `postalias` does for each.
 * @synopsis newaliases [-c config_dir]
 * @see newaliases(1)
 */
import { readEnvironment } from '../../lib/config/environment.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { aliasEntries } from '../../lib/tables/alias-source.ts';
import { type CommandStreams, runTableCommand } from '../../lib/tables/command.ts';
import { FatalError } from '../../lib/util/errors.ts';

/** Runs the command; the result is its exit status. Other options of sendmail's newaliases are accepted and mean nothing. */
export async function main(argv: readonly string[], io: CommandStreams): Promise<number> {
  const directory = configDirectory(argv) ?? readEnvironment(io.environment).configDirectory;
  let databases: string[];
  try {
    databases = Configuration.load(directory, { environment: readEnvironment(io.environment).parameters }).list(
      'alias_database',
    );
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    io.stderr.write(Buffer.from(`newaliases: fatal: ${error.message}\n`));
    return 1;
  }
  if (databases.length === 0) return 0;
  const command = {
    program: 'newaliases',
    usage: 'newaliases [-C config_dir]',
    flags: '',
    entries: aliasEntries,
    separator: ':\t',
  };
  return await runTableCommand(command, ['-c', directory, '--', ...databases], io);
}

function configDirectory(argv: readonly string[]): string | undefined {
  const at = argv.findIndex((word) => word.startsWith('-C'));
  if (at < 0) return undefined;
  return argv[at]!.slice(2) || argv[at + 1];
}
