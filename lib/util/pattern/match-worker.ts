/** The thread behind worker-pool.ts: one match after another, compiled patterns kept. */
import { parentPort } from 'node:worker_threads';
import { RE2JS } from 're2js';
import { matchLinear } from './matcher.ts';
import type { MatchReply, MatchRequest } from './worker-pool.ts';

const MAX_COMPILED = 200;
const compiled = new Map<string, (text: string) => readonly (string | undefined)[] | undefined>();

function compile(request: MatchRequest): (text: string) => readonly (string | undefined)[] | undefined {
  if (request.engine === 're2') {
    const regexp = RE2JS.compile(request.source, request.longest ? RE2JS.LONGEST_MATCH : 0);
    return (text) => matchLinear(regexp, request.groups, text);
  }
  const regexp = new RegExp(request.source, request.flags);
  return (text) => {
    const found = regexp.exec(text);
    return found === null ? undefined : request.groups.map((number) => found[number]);
  };
}

function say(reply: MatchReply): void {
  parentPort!.postMessage(reply);
}

parentPort?.on('message', (request: MatchRequest) => {
  say({ begun: true });
  const key = `${request.engine} ${request.engine === 'v8' ? request.flags : request.longest} ${request.source}`;
  let match = compiled.get(key);
  if (match === undefined) {
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    match = compile(request);
    compiled.set(key, match);
  }
  say({ groups: match(request.text) });
});
