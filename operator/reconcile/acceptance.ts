/**
 * Whether the services take the configuration that they were given: some things that are wrong with it only they can see. One
 * that runs says so at its health port (/configuration of lib/server/http.ts), and goes on with the one before; one that
 * could not start has said it in its last words.
 *
 * A pod that does not answer is asked again in the next pass, and for at most PATIENCE_MS: it may be ending, or out of reach. One
 * that runs an entry which master.cf has not got any more is not asked: it is about to go, or to be made anew.
 */
import { contentsHash } from '../../lib/config/contents.ts';
import type { Checked } from '../../lib/mailserver/check.ts';
import type { ConfigurationNews } from '../../lib/server/http.ts';
import { EX } from '../../lib/util/errors.ts';
import type { OperatorContext } from '../context.ts';
import { CONTAINER, HTTP_PORT, SERVICE_LABEL } from '../plan/input.ts';

const PATIENCE_MS = 60_000;
const ANSWER_MS = 2000;
const TEXT_LIMIT = 2000;

type Pod = ReturnType<OperatorContext['cluster']['pods']>[number];

export type Acceptance =
  | { readonly verdict: 'taken' }
  /** Some have not said anything yet. */
  | { readonly verdict: 'open'; readonly waiting: readonly string[] }
  | { readonly verdict: 'refused'; readonly pod: string; readonly reason: string };

/** Asks a pod which configuration it has. Rejects where it does not answer. */
export type AskPod = (address: string) => Promise<ConfigurationNews>;

export const askPod: AskPod = async (address) => {
  const host = address.includes(':') ? `[${address}]` : address;
  const response = await fetch(`http://${host}:${HTTP_PORT}/configuration`, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const { read, refused } = (await response.json()) as Partial<ConfigurationNews>;
  return { read: String(read), refused: String(refused).slice(0, TEXT_LIMIT) };
};

/** The last words of a pod that ended because of its configuration, after a moment; undefined where it did not. */
export function lastWords({ status }: Pod, after = 0): string | undefined {
  for (const { ready, state, lastState } of status?.containerStatuses ?? []) {
    const ended = state?.terminated ?? lastState?.terminated;
    if (ready || ended?.exitCode !== EX.CONFIG || new Date(ended.finishedAt ?? 0).getTime() < after) continue;
    const lines = (ended.message ?? '').split('\n').flatMap((line) => /^postfleet: fatal: (.*)$/.exec(line)?.[1] ?? []);
    if (lines.length > 0) return lines.join('; ').slice(0, TEXT_LIMIT);
  }
  return undefined;
}

/** The entries of master.cf that a pod runs, as its arguments name them. */
function entriesOf({ spec }: Pod): string[] {
  const args = spec?.containers.find(({ name }) => name === CONTAINER)?.args ?? [];
  return args.filter((_, at) => args[at - 1] === '--service');
}

interface Heard {
  readonly hash: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Uids of those that have taken it. */
  readonly pods: Set<string>;
}

export class AcceptanceWatch {
  readonly #ask: AskPod;
  readonly #now: () => number;
  /** Pods that have said what they think of a configuration, by MailServer. */
  readonly #heard = new Map<string, Heard>();

  constructor(ask: AskPod = askPod, now: () => number = Date.now) {
    this.#ask = ask;
    this.#now = now;
  }

  async look(
    key: string,
    pods: readonly Pod[],
    { mainCf, masterCf, configuration }: Pick<Checked, 'mainCf' | 'masterCf' | 'configuration'>,
  ): Promise<Acceptance> {
    const hash = contentsHash(mainCf, masterCf);
    const before = this.#heard.get(key);
    const heard: Heard = before?.hash === hash ? before : { hash, since: this.#now(), pods: new Set() };
    this.#heard.set(key, heard);
    const entries = new Set(configuration.master.map(({ name, type }) => `${name}/${type}`));
    const services = pods.filter(
      (pod) =>
        pod.metadata.labels?.[SERVICE_LABEL] !== undefined &&
        pod.metadata.deletionTimestamp === undefined &&
        entriesOf(pod).every((entry) => entries.has(entry)),
    );
    for (const pod of services) {
      const reason = lastWords(pod, heard.since);
      if (reason !== undefined) return { verdict: 'refused', pod: pod.metadata.name, reason };
    }
    const open = services.filter(
      (pod) =>
        pod.status?.phase === 'Running' && pod.status.podIP !== undefined && !heard.pods.has(pod.metadata.uid ?? ''),
    );
    const answers = await Promise.all(
      open.map(async (pod) => ({ pod, news: await this.#ask(pod.status!.podIP!).catch(() => undefined) })),
    );
    const waiting: string[] = [];
    for (const { pod, news } of answers) {
      const { name, uid = '' } = pod.metadata;
      if (news?.read !== hash) waiting.push(name);
      else if (news.refused !== '') return { verdict: 'refused', pod: name, reason: news.refused };
      else heard.pods.add(uid);
    }
    const patient = this.#now() - heard.since < PATIENCE_MS;
    return waiting.length > 0 && patient ? { verdict: 'open', waiting } : { verdict: 'taken' };
  }

  forget(key: string): void {
    this.#heard.delete(key);
  }
}
