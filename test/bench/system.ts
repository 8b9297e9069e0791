/** What the benchmark needs of a mail system: started for one run, asked for its root process, and stopped. */

export interface SystemOptions {
  /** A folder for the state of this run, empty. */
  readonly directory: string;
  readonly smtpPort: number;
  /** Port of the sink that everything is relayed to. */
  readonly sinkPort: number;
  /** "relay": on to the sink. "accept": kept on hold. */
  readonly mode: 'relay' | 'accept';
  readonly sessions: number;
}

export interface RunningSystem extends AsyncDisposable {
  /** All processes of the system descend from this one. */
  readonly pid: number;
  /** Messages that are on hold in the queue. */
  held(): Promise<number>;
}

export interface MailSystem {
  readonly name: 'postfix' | 'postfleet' | 'postfleet-processes';
  /** Messages before anything is counted: processes are started, code is compiled. */
  readonly warmUp: number;
  start(options: SystemOptions): Promise<RunningSystem>;
}
