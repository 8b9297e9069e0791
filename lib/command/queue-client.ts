/**
 * What postqueue, postsuper and postcat have in common: their configuration, a connection to the service that answers for
 * the queue, and their way to say what went wrong (`postqueue: fatal: …`).
 */
import { connectServices } from '../clients/connect.ts';
import { type Queue, Unavailable } from '../clients/protocols.ts';
import { readEnvironment } from '../config/environment.ts';
import { Configuration } from '../config/settings.ts';
import { EX, FatalError } from '../util/errors.ts';
import { ReaderGone } from '../util/write-stream.ts';

export interface CommandStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly environment: NodeJS.ProcessEnv;
}

export interface QueueConnection extends AsyncDisposable {
  readonly configuration: Configuration;
  /** The service of that name in master.cf. */
  queue(service: string): Queue;
}

/** How a command reaches the queue; tests give a queue of their own. */
export type ConnectQueue = (configDirectory: string | undefined, io: CommandStreams) => Promise<QueueConnection>;

/** Reads main.cf of the directory, else of MAIL_CONFIG, and connects where it says. */
export const connectQueue: ConnectQueue = async (configDirectory, io) => {
  const environment = readEnvironment(io.environment);
  const directory = configDirectory ?? environment.configDirectory;
  const configuration = Configuration.load(directory, { environment: environment.parameters });
  const services = connectServices(configuration);
  return {
    configuration,
    queue: (service) => services.queue(service),
    [Symbol.asyncDispose]: () => services[Symbol.asyncDispose](),
  };
};

/** What a command says where the service that it needs cannot be reached; `what` cannot be done. */
export function systemDown(error: Unavailable, what = ''): FatalError {
  const message = `${what === '' ? '' : `${what} - `}mail system is down (${error.message})`;
  return new FatalError(message, { cause: error, exitCode: EX.UNAVAILABLE });
}

/** Runs a command; what keeps it from its work is one line on standard error and an exit status. */
export async function runCommand(program: string, io: CommandStreams, run: () => Promise<number>): Promise<number> {
  // A reader that went away is noticed at the next write, as ReaderGone, or not at all after the last one.
  const failed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
  };
  io.stdout.on('error', failed);
  try {
    return await run();
  } catch (error) {
    if (error instanceof ReaderGone) return 0;
    const problem = error instanceof Unavailable ? systemDown(error) : error;
    if (!(problem instanceof FatalError)) throw problem;
    io.stderr.write(`${program}: fatal: ${problem.message}\n`);
    return problem.exitCode;
  }
}
