/**
 * Postfleet in its two shapes, with the configuration of etc/postfleet and the same relayhost and limits that Postfix has.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../support/until.ts';
import type { MailSystem, SystemOptions } from './system.ts';
import { assertFree, waitForSmtp } from './wait.ts';

const ROOT = resolve(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../..' : '../../..');

function writeConfiguration(directory: string, { sinkPort, mode }: SystemOptions): void {
  cpSync(join(ROOT, 'etc/postfleet'), directory, { recursive: true });
  const settings = `
myhostname = bench.example.org
mydestination =
inet_interfaces = 127.0.0.1
relayhost = [127.0.0.1]:${sinkPort}
smtpd_recipient_restrictions = ${mode === 'accept' ? 'check_client_access static:HOLD, ' : ''}permit_mynetworks, reject
default_process_limit = 400
default_destination_concurrency_limit = 400
initial_destination_concurrency = 50
smtpd_peername_lookup = no
smtp_tls_security_level = none
`;
  // A name that the sample sets as well would be warned about: the later one counts, so the earlier goes.
  const names = new Set([...settings.matchAll(/^(\w+) =/gm)].map((match) => match[1]));
  const sample = readFileSync(join(directory, 'main.cf'), 'utf8')
    .split('\n')
    .filter((line) => !names.has(/^(\w+)\s*=/.exec(line)?.[1]));
  writeFileSync(join(directory, 'main.cf'), `${sample.join('\n')}${settings}`);
}

/** Messages on hold, as `postqueue -j` lists them: an object a line. */
async function heldBy(state: string): Promise<number> {
  const child = spawn(join(ROOT, 'bin/postfleet'), ['postqueue', '-j'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, POSTFLEET_VAR: state },
  });
  const exited = once(child, 'exit');
  let held = 0;
  for await (const line of createInterface({ input: child.stdout }))
    if ((JSON.parse(line) as { queue_name: string }).queue_name === 'hold') held++;
  const [status] = await exited;
  if (status !== 0) throw new Error(`postqueue ended with status ${status}`);
  return held;
}

function system(name: 'postfleet' | 'postfleet-processes'): MailSystem {
  return {
    name,
    // A server runs for weeks: what is compared is code that the engine has compiled.
    warmUp: 16_000,
    async start(options) {
      const { directory, smtpPort } = options;
      await assertFree(smtpPort);
      const configuration = join(directory, 'etc');
      mkdirSync(directory, { recursive: true });
      writeConfiguration(configuration, options);
      const shape = name === 'postfleet' ? [] : ['--processes'];
      const log = openSync(join(directory, 'mail.log'), 'a');
      const child = spawn(
        join(ROOT, 'bin/postfleet'),
        ['start', ...shape, '--var', join(directory, 'var'), '--port', String(smtpPort), '--config', configuration],
        { stdio: ['ignore', log, log], env: { ...process.env, POSTFLEET_VAR: join(directory, 'var') } },
      );
      const kill = (): void => void child.kill('SIGTERM');
      process.once('exit', kill);
      const exited = new Promise<void>((end) => child.once('exit', () => end()));
      await Promise.race([
        waitForSmtp(smtpPort),
        exited.then(() => {
          throw new Error(`postfleet did not start: see ${join(directory, 'mail.log')}`);
        }),
      ]);
      await until('postfleet ready', async () => {
        const response = await fetch(`http://127.0.0.1:${smtpPort + 4}/readyz`).catch(() => undefined);
        return response?.ok === true;
      });
      return {
        pid: child.pid!,
        held: () => heldBy(join(directory, 'var')),
        async [Symbol.asyncDispose]() {
          kill();
          await exited;
          process.off('exit', kill);
        },
      };
    },
  };
}

export const postfleet = system('postfleet');
export const postfleetProcesses = system('postfleet-processes');
