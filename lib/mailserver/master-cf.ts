/**
 * master.cf of a MailServer: the built-in entries, with those of spec.masterCf laid over them by service and type. Pure.
 * @see master(5)
 */
import type { MailServerSpec, MasterCfEntry } from './schema.ts';

type Columns = readonly [service: string, type: string, rest: string, command: string];

/** Postfix's own master.cf, as far as its daemons exist here, with anvil open to smtpd pods alone. */
const BUILT_IN: readonly Columns[] = [
  ['smtp', 'inet', 'n - n - -', 'smtpd'],
  ['pickup', 'unix', 'n - n 60 1', 'pickup'],
  ['cleanup', 'unix', 'n - n - 0', 'cleanup'],
  ['qmgr', 'unix', 'n - n 300 1', 'qmgr'],
  ['rewrite', 'unix', '- - n - -', 'trivial-rewrite'],
  ['bounce', 'unix', '- - n - 0', 'bounce'],
  ['defer', 'unix', '- - n - 0', 'bounce'],
  ['trace', 'unix', '- - n - 0', 'bounce'],
  ['flush', 'unix', 'n - n 1000? 0', 'flush'],
  ['smtp', 'unix', '- - n - -', 'smtp'],
  ['relay', 'unix', '- - n - -', 'smtp'],
  ['showq', 'unix', 'n - n - -', 'showq'],
  ['error', 'unix', '- - n - -', 'error'],
  ['retry', 'unix', '- - n - -', 'error'],
  ['discard', 'unix', '- - n - -', 'discard'],
  ['local', 'unix', '- n n - -', 'local'],
  ['virtual', 'unix', '- n n - -', 'virtual'],
  ['lmtp', 'unix', '- - n - -', 'lmtp'],
  ['anvil', 'unix', '- - n - 1', 'anvil'],
];

/** An entry as it is written: eight columns and arguments. */
export interface MasterLine {
  readonly service: string;
  readonly type: string;
  readonly text: string;
  /** Where it comes from: a field of the MailServer, or undefined for a built-in one. */
  readonly field: string | undefined;
}

interface Entry extends Omit<MasterCfEntry, 'enabled'> {
  readonly command: string;
  readonly field: string | undefined;
}

/** An argument as master.cf has it: in braces where it has blanks. */
function argument(text: string): string {
  const oneLine = text.replace(/\s*\n\s*/g, ' ');
  return oneLine === '' || /\s/.test(oneLine) ? `{ ${oneLine} }` : oneLine;
}

function line(entry: Entry): string {
  const { service, type, command, options = {}, args = [] } = entry;
  const columns = [entry.private, entry.unpriv, entry.chroot, entry.wakeup, entry.maxproc].map((value) => value ?? '-');
  const settings = Object.entries(options).map(([name, value]) => {
    const oneLine = value.replace(/\s*\n\s*/g, ' ');
    return /^[^\s{}]*$/.test(oneLine) ? `-o ${name}=${oneLine}` : `-o { ${name} = ${oneLine} }`;
  });
  return [service, type, ...columns, command, ...settings, ...args.map(argument)].join(' ');
}

function builtIn(): Map<string, Entry> {
  return new Map(
    BUILT_IN.map(([service, type, rest, command]) => {
      const [isPrivate, unpriv, chroot, wakeup, maxproc] = rest.split(' ');
      const entry = { service, type, private: isPrivate, unpriv, chroot, wakeup, maxproc, command, field: undefined };
      return [`${service}/${type}`, entry as Entry] as const;
    }),
  );
}

/** The entries that are on, in order, and what is wrong with those of the spec. */
export function masterLines(spec: Pick<MailServerSpec, 'masterCf'>): { lines: MasterLine[]; problems: string[] } {
  const entries = builtIn();
  const problems: string[] = [];
  for (const [at, given] of (spec.masterCf ?? []).entries()) {
    const key = `${given.service}/${given.type}`;
    const field = `spec.masterCf[${at}] (${key})`;
    const base = entries.get(key);
    const { enabled, ...columns } = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as MasterCfEntry;
    if (!enabled) {
      if (base === undefined) problems.push(`${field}: enabled is false, but no built-in entry has this name and type`);
      entries.delete(key);
    } else if (columns.command === undefined && base === undefined) {
      problems.push(`${field}: command is missing, and no built-in entry has this name and type`);
    } else {
      entries.set(key, { ...base, ...columns, command: columns.command ?? base!.command, field });
    }
  }
  const lines = [...entries.values()].map((entry) => ({
    service: entry.service,
    type: entry.type,
    text: line(entry),
    field: entry.field,
  }));
  return { lines, problems };
}
