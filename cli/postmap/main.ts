/**
 * postmap: builds lookup tables from their sources, changes, queries and lists them.
 *
 * Side effects: `source.index` beside the source, or rows in Postgres where postfleet_postgres_url is set.
 * Defaults hold where no directory of a configuration is named and there is no /etc/postfix/main.cf.
 * @synopsis postmap [-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file …
 * @see postmap(1)
 */
import { type CommandStreams, runTableCommand } from '../../lib/tables/command.ts';
import { postmapEntries } from '../../lib/tables/postmap-source.ts';

export async function main(argv: readonly string[], io: CommandStreams): Promise<number> {
  const command = {
    program: 'postmap',
    usage: 'postmap [-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
    flags: 'bfFhijmnNoprsuUvw',
    entries: postmapEntries,
    separator: '\t',
  };
  return await runTableCommand(command, argv, io);
}
