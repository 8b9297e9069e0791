/**
 * Puts what main.cf and master.cf say into force while the instance runs: all of it or, where anything is wrong, nothing.
 *
 * Logs `reload` when it is done; else each error, and that the configuration before stays in force. Throws nothing.
 */
import { readSuccessor } from '../../lib/config/reload.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Shape } from './shape.ts';

export class Reloader {
  readonly #services: Shape;
  readonly #parameters: ReadonlyMap<string, string>;
  readonly #log: Log;
  #configuration: Configuration;
  #underWay: Promise<void> = Promise.resolve();
  /** One that has not begun: it will read the files as they are then. */
  #next: Promise<void> | undefined;

  /** `parameters`: what the instance gives to its services, over main.cf. */
  constructor(services: Shape, configuration: Configuration, parameters: ReadonlyMap<string, string>, log: Log) {
    this.#services = services;
    this.#configuration = configuration;
    this.#parameters = parameters;
    this.#log = log;
  }

  /** Resolves when no reload is under way. */
  get finished(): Promise<void> {
    return this.#next ?? this.#underWay;
  }

  /** One at a time; any number of calls during one make one more. */
  reload(): Promise<void> {
    this.#next ??= this.#underWay.then(() => {
      this.#next = undefined;
      this.#underWay = this.#once();
      return this.#underWay;
    });
    return this.#next;
  }

  async #once(): Promise<void> {
    const { configuration, held, errors, warnings } = readSuccessor(this.#configuration, this.#parameters);
    if (configuration === undefined) return this.#kept(errors);
    for (const warning of warnings) this.#log.warning(warning);
    try {
      const others = await this.#services.reload(configuration, new Map([...this.#parameters, ...held]));
      for (const warning of others) this.#log.warning(warning);
    } catch (error) {
      return this.#kept([error instanceof Error ? error.message : String(error)]);
    }
    this.#configuration = configuration;
    this.#log.info(`reload -- version ${configuration.text('mail_version')}, configuration ${configuration.directory}`);
  }

  #kept(errors: readonly string[]): void {
    for (const error of errors) this.#log.error(error);
    this.#log.error('reload: nothing was changed; the configuration before stays in force');
  }
}
