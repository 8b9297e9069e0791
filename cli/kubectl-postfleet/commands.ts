/** The commands of the plugin, in the order of its help. */
import { conf } from './conf.ts';
import { remove } from './delete.ts';
import { flush } from './flush.ts';
import { lookup } from './lookup.ts';
import type { PluginCommand } from './plugin-command.ts';
import { queue } from './queue.ts';
import { report } from './report.ts';
import { status } from './status.ts';

export const PLUGIN_COMMANDS: readonly PluginCommand[] = [status, queue, flush, remove, conf, lookup, report];
