/**
 * Ready means that a message would be kept, and the end of a process that was told to: not ready at once, still serving for postfleet_shutdown_delay, then closed to new
 * connections, and sessions that are open go on for postfleet_shutdown_grace.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { type Shape, startInstance, type TestInstance } from './instance.ts';

const MAIN_CF = `
myhostname = mail.example.org
mydestination = localhost
local_recipient_maps =
postfleet_shutdown_delay = 3s
postfleet_shutdown_grace = 3s`;

class Client implements Disposable {
  readonly #socket: Socket;
  #text = '';
  closed = false;

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port });
    this.#socket.setEncoding('latin1').on('data', (piece: string) => (this.#text += piece));
    this.#socket.on('error', () => undefined).on('close', () => (this.closed = true));
  }

  /** The next reply, or "closed". */
  async reply(): Promise<string> {
    return until('a reply', () => {
      const end = /(?:^|\n)\d{3} [^\n]*\n/.exec(this.#text);
      if (end === null) return this.closed && 'closed';
      const length = end.index + end[0].length;
      const reply = this.#text.slice(0, length).trimEnd();
      this.#text = this.#text.slice(length);
      return reply;
    });
  }

  say(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`);
    return this.reply();
  }

  /** A whole message; the reply to its end. */
  async send(subject: string): Promise<string> {
    await this.say('EHLO client.example.org');
    await this.say('MAIL FROM:<a@example.org>');
    await this.say('RCPT TO:<root@localhost>');
    await this.say('DATA');
    return this.say(`Subject: ${subject}\r\n\r\ntext\r\n.`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

async function readiness(listen: string): Promise<string> {
  const answer = await fetch(`http://${listen}/readyz`).catch(() => undefined);
  return answer === undefined ? 'nobody' : `${answer.status} ${(await answer.text()).trim()}`;
}

interface Serving {
  readonly pid: number;
  /** host:port of its health. */
  readonly health: string;
}

/** The process that holds SMTP sessions. */
function serving(instance: TestInstance, shape: Shape): Serving {
  if (shape === 'one') return { pid: instance.pid, health: `127.0.0.1:${instance.port + 4}` };
  const pid = Number(readFileSync(join(instance.directory, 'var/run/smtp.inet.service.pid'), 'utf8'));
  const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  const health = environment.find((text) => text.startsWith('POSTFLEET_HTTP_LISTEN='))!.split('=')[1]!;
  return { pid, health };
}

for (const shape of ['one', 'many'] satisfies Shape[]) {
  test(`sessions and readiness at the end of ${shape === 'one' ? 'an instance in one process' : "smtpd's own process"}`, async () => {
    await using instance = await startInstance({ shape, mainCf: MAIN_CF });
    const { pid, health } = serving(instance, shape);
    assert.equal(await readiness(health), '200 ok');
    using idle = new Client(instance.port);
    assert.match(await idle.reply(), /^220 /);
    await idle.say('EHLO client.example.org');
    using late = new Client(instance.port);
    await late.reply();

    process.kill(pid, 'SIGTERM');
    await until('it says that it is not ready', async () => (await readiness(health)) === '503 not ready: draining', 2);
    using first = new Client(instance.port);
    assert.match(await first.reply(), /^220 /, 'who has not heard of it is served');
    assert.match(await first.send('after the signal'), /^250 2\.0\.0 Ok: queued as /);

    await until(
      'nobody new is served',
      async () => {
        using next = new Client(instance.port);
        return (await next.reply()) === 'closed';
      },
      10,
    );
    assert.match(await idle.say('NOOP'), /^250 /, 'a session that is open goes on');
    assert.match(await late.send('in the grace period'), /^250 2\.0\.0 Ok: queued as /);
    assert.match(await readiness(health), /^503 /);
    assert.match(await idle.reply(), /^421 4\.3\.2 mail\.example\.org Service shutting down$/);
    assert.equal(await idle.reply(), 'closed');
    await until('the process ends', async () => (await readiness(health)) === 'nobody', 20);
  });
}

for (const shape of ['one', 'many'] satisfies Shape[]) {
  test(`who takes mail is not ready while the log does not answer: ${shape === 'one' ? 'one process' : "smtpd's own process"}`, async () => {
    await using instance = await startInstance({ shape, mainCf: MAIN_CF.replaceAll('3s', '0') });
    const { health } = serving(instance, shape);
    const nats = Number(readFileSync(join(instance.directory, 'var/run/nats.pid'), 'utf8'));
    process.kill(nats, 'SIGSTOP');
    try {
      const said = await until(
        'it says that it is not ready',
        async () => {
          const text = await readiness(health);
          return text !== '200 ok' && text;
        },
        15,
      );
      assert.match(said, shape === 'one' ? /^503 not ready: .*cleanup/ : /^503 not ready: smtp$/);
      using client = new Client(instance.port);
      assert.match(await client.reply(), /^220 /, 'who comes all the same is not turned away');
    } finally {
      process.kill(nats, 'SIGCONT');
    }
    await until('it is ready again', async () => (await readiness(health)) === '200 ok', 30);
    if (shape === 'one') return;
    // What smtpd takes meanwhile lies in the log: it need not wait for Postgres.
    const postmaster = readFileSync(join(instance.directory, 'var/postgres/postmaster.pid'), 'utf8');
    const postgres = Number(postmaster.split('\n')[0]);
    process.kill(postgres, 'SIGSTOP');
    try {
      using client = new Client(instance.port);
      await client.reply();
      assert.match(await client.send('without Postgres'), /^250 2\.0\.0 Ok: queued as /);
      assert.equal(await readiness(health), '200 ok');
    } finally {
      process.kill(postgres, 'SIGCONT');
    }
  });
}

test('an instance of which nobody wants anything ends within seconds, and says so', async () => {
  const instance = await startInstance({ mainCf: 'myhostname = mail.example.org' });
  const began = performance.now();
  await instance.stop();
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds < 8, `it took ${seconds} s`);
  assert.match(instance.log(), /postfix\/master\[\d+\]: stopped\n$/);
  await instance[Symbol.asyncDispose]();
});
