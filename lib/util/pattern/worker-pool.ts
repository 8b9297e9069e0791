/**
 * One worker thread for matches that may take long, started with the first of them. Requests run one after another, each
 * with a time limit; one that passes it ends with the thread, which is started anew for the others. Requests that wait are
 * bounded. The thread does not keep the process alive.
 */
import { Worker } from 'node:worker_threads';
import type { MatchGroups } from './matcher.ts';

export type MatchRequest =
  | {
      readonly engine: 'v8';
      readonly source: string;
      readonly flags: string;
      readonly groups: readonly number[];
      readonly text: string;
    }
  | {
      readonly engine: 're2';
      readonly source: string;
      readonly longest: boolean;
      readonly groups: readonly number[];
      readonly text: string;
    };

/** The pattern took longer than its time limit, or too many matches are waiting: the answer is not known. */
export class MatchTimeoutError extends Error {
  override readonly name = 'MatchTimeoutError';
}

/** For backtracking, a second is thousands of times what a usual match takes. The linear engine ends by itself. */
const TIME_LIMIT_MS = { v8: 1000, re2: 30_000 } as const;
/** For a thread to start and take its request, on a machine that has much else to do. */
const START_LIMIT_MS = 30_000;
const MAX_WAITING = 1000;

/** What the thread says: that it has begun with a request, and then what it found. */
export type MatchReply = { readonly begun: true } | { readonly groups: MatchGroups | undefined };

interface Waiting {
  readonly request: MatchRequest;
  resolve(groups: MatchGroups | undefined): void;
  reject(error: Error): void;
}

const waiting: Waiting[] = [];
let worker: Worker | undefined;
let running: Waiting | undefined;
let timer: NodeJS.Timeout | undefined;

/** Matches in the worker thread. Rejects with MatchTimeoutError, or with the signal's reason. */
export function matchInWorker(request: MatchRequest, signal?: AbortSignal): Promise<MatchGroups | undefined> {
  signal?.throwIfAborted();
  if (waiting.length >= MAX_WAITING) return Promise.reject(new MatchTimeoutError('too many slow patterns are waiting'));
  return new Promise((resolve, reject) => {
    const entry: Waiting = { request, resolve, reject };
    waiting.push(entry);
    signal?.addEventListener('abort', () => forget(entry, signal.reason as Error), { once: true });
    next();
  });
}

function forget(entry: Waiting, reason: Error): void {
  const at = waiting.indexOf(entry);
  if (at >= 0) waiting.splice(at, 1);
  entry.reject(reason);
}

function next(): void {
  if (running !== undefined) return;
  running = waiting.shift();
  if (running === undefined) {
    worker?.unref();
    return;
  }
  const thread = startedWorker();
  thread.ref();
  thread.postMessage(running.request);
  limitTo(START_LIMIT_MS);
}

/** Ends the thread, and the request that it is at, after that time. */
function limitTo(milliseconds: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    void worker?.terminate();
    worker = undefined;
    finish((entry) => entry.reject(new MatchTimeoutError(`no answer within ${milliseconds} ms`)));
  }, milliseconds);
}

function startedWorker(): Worker {
  if (worker !== undefined) return worker;
  // Under type stripping the module is a .ts file, compiled it is a .js file.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const thread = new Worker(new URL(`./match-worker.${extension}`, import.meta.url));
  // What a thread says that was ended meanwhile is not about the request that runs.
  thread.on('message', (reply: MatchReply) => {
    if (worker !== thread || running === undefined) return;
    if ('begun' in reply) limitTo(TIME_LIMIT_MS[running.request.engine]);
    else finish((entry) => entry.resolve(reply.groups));
  });
  thread.on('error', (error) => {
    if (worker !== thread) return;
    worker = undefined;
    finish((entry) => entry.reject(error as Error));
  });
  worker = thread;
  return thread;
}

function finish(settle: (entry: Waiting) => void): void {
  clearTimeout(timer);
  const entry = running;
  running = undefined;
  if (entry !== undefined) settle(entry);
  next();
}
