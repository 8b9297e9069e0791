/**
 * sendmail(1): Sendmail's command line in front of Postfleet. A message on standard input goes to the stream MAILDROP,
 * from which pickup(8) takes it; the command ends with 0 only when it is on disk there. The queue is shown and flushed by
 * postqueue, aliases are built by newaliases.
 *
 * Ends with a status of sysexits(3): EX_USAGE for the command line, EX_TEMPFAIL where the message could not be kept (or
 * may not have been), EX_UNAVAILABLE where it is too large or the user may not submit; the reason is one line on
 * standard error.
 *
 * Known limits: -bd is refused (`postfleet start` is what it means); -bs is a session with the smtpd of this host; no
 * set-group-id helper is involved: whoever may reach NATS may submit.
 * @synopsis sendmail [option …] [recipient …]
 * @synopsis sendmail -bp | -bs | -bv recipient … | -bi | -q[Iqueue_id|Rsite]
 */
import { readEnvironment } from '../../lib/config/environment.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { parseOptions, type SendmailOptions } from './options.ts';
import { smtpSession } from './smtp-session.ts';
import { submit } from './submit.ts';

export interface CommandStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly environment: NodeJS.ProcessEnv;
}

/** Runs the command; the result is its exit status. */
export async function main(argv: string[], io: CommandStreams): Promise<number> {
  try {
    const options = parseOptions(argv, 'sendmail');
    return await run(options, io);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    io.stderr.write(`sendmail: fatal: ${error.message}\n`);
    return error.exitCode;
  }
}

async function run(options: SendmailOptions, io: CommandStreams): Promise<number> {
  const where = options.configDirectory === undefined ? [] : ['-c', options.configDirectory];
  switch (options.mode) {
    case 'mailq':
      return (await import('../postqueue/main.ts')).main([...where, '-p'], io);
    case 'flush':
      return (await import('../postqueue/main.ts')).main([...where, ...flushArguments(options.flush)], io);
    case 'newaliases': {
      if (options.aliasDatabase === undefined) return (await import('../newaliases/main.ts')).main(where, io);
      return (await import('../postalias/main.ts')).main([...where, options.aliasDatabase], io);
    }
    case 'daemon':
      throw new FatalError('-bd: run "postfleet start"', { exitCode: EX.UNAVAILABLE });
    default: {
      const environment = readEnvironment(io.environment);
      const directory = options.configDirectory ?? environment.configDirectory;
      const configuration = Configuration.load(directory, { environment: environment.parameters });
      if (options.mode === 'smtp') await smtpSession(configuration, io);
      else await submit(options, configuration, io);
      return EX.OK;
    }
  }
}

/** `-q`, `-qIqueueid`, `-qRsite` in postqueue's words. */
function flushArguments(flush: string): string[] {
  if (flush === '') return ['-f'];
  return flush.startsWith('I') ? ['-i', flush.slice(1)] : ['-s', flush.slice(1)];
}
