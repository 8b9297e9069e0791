/**
 * The commands that this program answers to, as `postfleet NAME …` and under their own names. Each is loaded when called.
 */
export interface CommandIo {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly environment: NodeJS.ProcessEnv;
}

export type Command = (argv: string[], io: CommandIo) => Promise<number>;

export const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map<string, () => Promise<Command>>([
  ['abort', async () => (await import('../cli/control/main.ts')).abort],
  ['check', async () => (await import('../cli/check/main.ts')).main],
  ['mailq', async () => (await import('../cli/mailq/main.ts')).main],
  ['newaliases', async () => (await import('../cli/newaliases/main.ts')).main],
  ['postalias', async () => (await import('../cli/postalias/main.ts')).main],
  ['postcat', async () => (await import('../cli/postcat/main.ts')).main],
  ['postconf', async () => (await import('../cli/postconf/main.ts')).main],
  ['postdrop', async () => (await import('../cli/postdrop/main.ts')).main],
  ['postmap', async () => (await import('../cli/postmap/main.ts')).main],
  ['postqueue', async () => (await import('../cli/postqueue/main.ts')).main],
  ['postsuper', async () => (await import('../cli/postsuper/main.ts')).main],
  ['reload', async () => (await import('../cli/control/main.ts')).reload],
  ['sendmail', async () => (await import('../cli/sendmail/main.ts')).main],
  ['status', async () => (await import('../cli/control/main.ts')).status],
  ['stop', async () => (await import('../cli/control/main.ts')).stop],
]);
