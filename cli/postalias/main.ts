/**
 * postalias: builds alias databases from their sources, changes, queries and lists them.
 *
 * Side effects: `source.index` beside the source, or rows in Postgres where postfleet_postgres_url is set.
 * Defaults hold where no directory of a configuration is named and there is no /etc/postfix/main.cf.
 * @synopsis postalias [-fhinNoprsuvw] [-c config_dir] [-d key] [-q key] [file_type:]file …
 * @see postalias(1)
 */
import { aliasEntries } from '../../lib/tables/alias-source.ts';
import { type CommandStreams, runTableCommand } from '../../lib/tables/command.ts';

export async function main(argv: readonly string[], io: CommandStreams): Promise<number> {
  const command = {
    program: 'postalias',
    usage: 'postalias [-fijNnoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
    flags: 'fijNnoprsuvw',
    entries: aliasEntries,
    separator: ':\t',
  };
  return await runTableCommand(command, argv, io);
}
