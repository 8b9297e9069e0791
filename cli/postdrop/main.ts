/**
 * postdrop(1): puts a message into the stream MAILDROP for pickup(8). It reads, on standard input, what sendmail would
 * drop: a sealed entry of lib/queue/maildrop.ts, envelope and content and checksum, so that a program that may not reach
 * NATS itself can hand a message to one that may.
 *
 * Whose message it is says the operating system, not the input: login name and user id are those of the caller.
 *
 * Ends with 0 when the message is on disk, and says nothing; else with a status of sysexits(3) and one line on standard
 * error. Input that ends early, or makes no sense, is EX_DATAERR, and nothing is kept.
 * @synopsis postdrop [-rv] [-c config_dir]
 * @see postdrop(1)
 */
import { parseArgs } from 'node:util';
import { readEnvironment } from '../../lib/config/environment.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { MaildropDamaged, readEntry, unsealEntry } from '../../lib/queue/maildrop.ts';
import { callingUser, checkSubmitter, limitSize, postMessage } from '../../lib/queue/maildrop-client.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';

export interface CommandStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly environment: NodeJS.ProcessEnv;
}

/** Runs the command; the result is its exit status. */
export async function main(argv: string[], io: CommandStreams): Promise<number> {
  try {
    await drop(argv, io);
    return EX.OK;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    io.stderr.write(`postdrop: fatal: ${error.message}\n`);
    return error.exitCode;
  }
}

async function drop(argv: string[], io: CommandStreams): Promise<void> {
  const environment = readEnvironment(io.environment);
  const directory = configDirectory(argv) ?? environment.configDirectory;
  const configuration = Configuration.load(directory, { environment: environment.parameters });
  const user = callingUser();
  try {
    const { submission, content } = await readEntry(unsealEntry(io.stdin as AsyncIterable<Buffer>));
    const envelope = { ...submission.envelope, senderLogin: user.login, senderUid: user.uid };
    if (envelope.recipients.length === 0 && !submission.extractRecipients) {
      throw new FatalError('malformed input: no recipients', { exitCode: EX.DATAERR });
    }
    await checkSubmitter(configuration, user, envelope.sender);
    const limited = limitSize(content, configuration.integer('message_size_limit'), user);
    await postMessage(configuration, { ...submission, envelope }, limited);
  } catch (error) {
    if (!(error instanceof MaildropDamaged)) throw error;
    throw new FatalError(`malformed input: ${error.message}`, { cause: error, exitCode: EX.DATAERR });
  }
}

function configDirectory(argv: string[]): string | undefined {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        c: { type: 'string', short: 'c' },
        r: { type: 'boolean', short: 'r' },
        v: { type: 'boolean', short: 'v' },
      },
    });
    return values.c;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FatalError(`${reason}; usage: postdrop [-rv] [-c config_dir]`, { cause: error, exitCode: EX.USAGE });
  }
}
