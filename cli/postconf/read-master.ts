/**
 * master.cf as postconf reads it: what the services refuse to start with, a line that continues nothing, is a warning
 * here, and warnings name the file alone.
 */
import { logicalLines } from '../../lib/config/logical-lines.ts';
import { readConfigurationFile } from '../../lib/config/main-cf.ts';
import { type MasterEntry, parseMasterLine } from '../../lib/config/master-cf.ts';

/** All entries in the order of the file. */
export function readMasterEntries(path: string, warn: (text: string) => void): MasterEntry[] {
  const entries: MasterEntry[] = [];
  for (const { text, line } of logicalLines(readConfigurationFile(path))) {
    if (/^\s/.test(text)) {
      warn(`${path}: logical line must not start with whitespace: "${text.slice(0, 30)}"`);
      continue;
    }
    // A setting without braces that cannot be read is shown as it stands, and nothing is said.
    const complain = (problem: string, setting: string): void => {
      if (setting.startsWith('{')) warn(`master.cf: ${problem}`);
    };
    entries.push(parseMasterLine(text, path, line, complain));
  }
  return entries;
}
