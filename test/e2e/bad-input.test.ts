/**
 * What nobody should send, against a whole instance: each gets a clear reply, and costs nothing else. While it happens, a
 * well-behaved client sends one message after the other and none may fail or wait for long, and memory stays bounded.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { until } from '../support/until.ts';
import { residents, startInstance, type TestInstance } from './instance.ts';

/** Megabytes that one process may grow by. */
const GROWTH = 150;
/** Milliseconds that a well-behaved client may wait for a reply. */
const PATIENCE = 5000;

let instance: TestInstance;

before(async () => {
  instance = await startInstance({
    mainCf: `
myhostname = mail.example.org
mydestination =
relay_domains = example.com
relay_transport = discard:
mynetworks = 127.0.0.0/8
smtpd_timeout = 4s
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 200000
smtpd_error_sleep_time = 0
message_size_limit = 30000000`,
  });
});
after(async () => instance?.[Symbol.asyncDispose]());

class Client implements Disposable {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor() {
    this.socket = connect({ host: '127.0.0.1', port: instance.port, allowHalfOpen: true });
    this.socket.setEncoding('latin1').on('data', (piece: string) => (this.text += piece));
    this.socket.on('end', () => (this.closed = true)).on('error', () => (this.closed = true));
    this.socket.on('close', () => (this.closed = true));
  }

  /** The number of whole replies so far. */
  get replies(): number {
    return this.text.match(/^\d{3} [^\n]*\n/gm)?.length ?? 0;
  }

  replied(count: number): Promise<boolean | undefined> {
    return until(`${count} replies`, () => this.replies >= count || this.closed);
  }

  async say(bytes: string | Buffer): Promise<string> {
    const before = this.replies;
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    await this.replied(before + 1);
    return this.text.match(/^\d{3} .*$/gm)?.[before]?.trimEnd() ?? 'closed';
  }

  /** Writes without overrunning a peer that does not read; ends early where that hangs up. */
  async pour(bytes: Buffer): Promise<void> {
    if (this.closed || this.socket.write(bytes)) return;
    await Promise.race([
      new Promise((resolve) => this.socket.once('drain', resolve)),
      until('room to write', () => this.closed),
    ]);
  }

  async envelope(): Promise<void> {
    await this.replied(1);
    assert.match(await this.say('EHLO test\r\n'), /^250 /);
    assert.match(await this.say('MAIL FROM:<a@example.org>\r\n'), /^250 /);
    assert.match(await this.say('RCPT TO:<b@example.com>\r\n'), /^250 /);
  }

  /** What is said before the server hangs up. */
  async end(): Promise<string> {
    await until('the end of the connection', () => this.closed);
    return this.text;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Does the work while a client that behaves sends messages, over connections old and new. */
async function beside(work: () => Promise<void>, growth = GROWTH): Promise<void> {
  const before = residents(instance.pid);
  let over = false;
  let slowest = 0;
  let messages = 0;
  const timed = async (reply: Promise<string>, expected: RegExp): Promise<void> => {
    const began = performance.now();
    assert.match(await reply, expected);
    slowest = Math.max(slowest, performance.now() - began);
  };
  const good = async (): Promise<void> => {
    while (!over) {
      using client = new Client();
      await timed(
        client.replied(1).then(() => client.text),
        /^220 /,
      );
      await client.say('EHLO good.example.org\r\n');
      for (let at = 0; at < 3; at++) {
        await timed(client.say('MAIL FROM:<good@example.org>\r\n'), /^250 /);
        await timed(client.say('RCPT TO:<good@example.com>\r\n'), /^250 /);
        await client.say('DATA\r\n');
        await timed(client.say('Subject: good\r\n\r\nx\r\n.\r\n'), /^250 2\.0\.0 Ok: queued as /);
        messages += 1;
      }
      assert.match(await client.say('QUIT\r\n'), /^221 /);
    }
  };
  const goodOnes = good();
  try {
    await work();
  } finally {
    over = true;
    await goodOnes;
  }
  assert.ok(messages > 0);
  assert.ok(slowest < PATIENCE, `a good client waited ${Math.round(slowest)} ms`);
  const now = residents(instance.pid);
  for (const [pid, size] of now) {
    const grown = size - (before.get(pid) ?? size);
    assert.ok(grown <= growth, `process ${pid} grew by ${Math.round(grown)} MB`);
  }
}

/** The deferred errors of many clients at once. */
function many(count: number, work: (client: Client, at: number) => Promise<void>): Promise<unknown> {
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      using client = new Client();
      await work(client, at);
    }),
  );
}

test('junk before EHLO', async () => {
  const junk = Buffer.from(Array.from({ length: 100 }, (_, at) => [0, 7, 65, 128, 200, 255, 62, 58][(at * 5) % 8]!));
  const line = Buffer.concat([junk, Buffer.from('\r\n')]);
  await beside(async () => {
    await many(30, async (client) => {
      await client.replied(1);
      await client.pour(Buffer.concat(Array.from({ length: 25 }, () => line)));
      assert.match(await client.end(), /^220 .*\r\n(?:500 5\.5\.2 .*\r\n)+421 4\.7\.0 .*Error: too many errors\r\n$/);
    });
    // Who does not read either is cut off: what was said is lost with the connection.
    await many(30, async (client) => {
      for (let at = 0; at < 1000 && !client.closed; at++) await client.pour(Buffer.alloc(8192, line));
      await client.end();
    });
  });
});

test('a request of another protocol', async () => {
  await beside(async () => {
    using client = new Client();
    await client.replied(1);
    await client.pour(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    assert.match(await client.end(), /\r\n221 2\.7\.0 Error: I can break rules, too\. Goodbye\.\r\n$/);
  });
});

test('thousands of unknown commands, in sessions that are ended and begun again', async () => {
  await beside(async () => {
    await many(20, async (_, at) => {
      for (let round = 0; round < 10; round++) {
        using client = new Client();
        await client.replied(1);
        await client.pour(Buffer.from(`X${at}\r\n`.repeat(50)));
        assert.match(await client.end(), /(?:500 5\.5\.2 Error: command not recognized\r\n){19,}/);
      }
    });
  });
});

test('a line of 50 MB as a command', async () => {
  await beside(async () => {
    using client = new Client();
    await client.replied(1);
    const piece = Buffer.alloc(1024 * 1024, 'z');
    for (let at = 0; at < 50 && !client.closed; at++) await client.pour(piece);
    // The answer does not wait for the end of the line.
    await client.replied(2);
    assert.match(client.text, /\n500 5\.5\.2 .*\r\n$/);
    assert.match(await client.say('\r\nNOOP\r\n'), /^250 /);
  });
});

test('NULs in commands and in content', async () => {
  await beside(async () => {
    using client = new Client();
    await client.replied(1);
    assert.match(await client.say('EHLO a\0b\r\n'), /^250 /);
    assert.match(await client.say('\0NOOP\r\n'), /^5\d\d /);
    await client.say('RSET\r\n');
    using second = new Client();
    await second.envelope();
    await second.say('DATA\r\n');
    assert.match(
      await second.say(
        Buffer.concat([Buffer.from('Subject: n\0ul\r\n\r\n'), Buffer.alloc(100_000), Buffer.from('\r\n.\r\n')]),
      ),
      /^250 /,
    );
  });
});

test('half-closed connections: what was asked is answered, what is half a message is nothing', async () => {
  await beside(async () => {
    await many(50, async (client) => {
      await client.replied(1);
      await client.say('EHLO test\r\n');
      client.socket.end('MAIL FROM:<a@example.org>\r\nRSET\r\nNOOP\r\n');
      assert.match(await client.end(), /\r\n250 2\.1\.0 Ok\r\n250 2\.0\.0 Ok\r\n250 2\.0\.0 Ok\r\n$/);
    });
    await many(50, async (client) => {
      await client.envelope();
      await client.say('DATA\r\n');
      client.socket.end('Subject: half\r\n\r\nno end');
      assert.doesNotMatch(await client.end(), /queued as/);
    });
    await instance.logged(/lost connection after DATA \(\d+ bytes\) from /);
  });
});

test('DATA without end, over many connections at once', async () => {
  await beside(async () => {
    await many(80, async (client) => {
      await client.envelope();
      await client.say('DATA\r\n');
      await client.pour(Buffer.alloc(64 * 1024, `${'never ending '.repeat(5)}\r\n`));
      assert.match(await client.end(), /421 4\.4\.2 mail\.example\.org Error: timeout exceeded\r\n$/);
    });
  });
});

const BDAT: readonly [string, string, RegExp][] = [
  ['more than comes', 'BDAT 1000 LAST\r\nshort', /421 4\.4\.2 .*timeout exceeded\r\n$/],
  [
    'less than comes',
    'BDAT 3 LAST\r\nabcdef\r\nQUIT\r\n',
    /250 2\.0\.0 Ok: \d+ bytes queued as \w+\r\n500 5\.5\.2 .*\r\n221 /,
  ],
  [
    'beyond message_size_limit',
    'BDAT 99999999999 LAST\r\nnever so much',
    /552 5\.3\.4 Chunk exceeds message size limit\r\n$/,
  ],
  ['no number', 'BDAT many LAST\r\n', /521 5\.5\.4 Syntax: BDAT count \[LAST\]\r\n$/],
  ['a negative number', 'BDAT -5 LAST\r\nhello', /521 5\.5\.4 Syntax: BDAT count \[LAST\]\r\n$/],
];
for (const [name, bytes, expected] of BDAT) {
  test(`BDAT with a wrong size: ${name}`, async () => {
    await beside(async () => {
      await many(5, async (client) => {
        await client.envelope();
        await client.pour(Buffer.from(bytes));
        await until('the reply', () => expected.test(client.text));
      });
    });
  });
}

test('100,000 recipients are taken where smtpd_recipient_limit allows them, and delivered', async () => {
  await beside(async () => {
    using client = new Client();
    await client.replied(1);
    await client.say('EHLO test\r\n');
    await client.say('MAIL FROM:<many@example.org>\r\n');
    const before = client.replies;
    const total = 100_000;
    for (let from = 0; from < total; from += 1000) {
      await client.pour(
        Buffer.from(Array.from({ length: 1000 }, (_, at) => `RCPT TO:<user${from + at}@example.com>\r\n`).join('')),
      );
      await client.replied(before + from + 1000);
    }
    assert.equal(client.text.match(/^250 2\.1\.5 Ok\r$/gm)?.length, total);
    await client.say('DATA\r\n');
    const queued = /^250 2\.0\.0 Ok: queued as (\w+)$/.exec(await client.say('Subject: many\r\n\r\nx\r\n.\r\n'))?.[1];
    assert.ok(queued);
    await instance.logged(new RegExp(`${queued}: from=<many@example\\.org>, size=\\d+, nrcpt=\\d+ \\(queue active\\)`));
    await until('it is gone', async () => !(await instance.command('postqueue', ['-j'])).includes(queued), 180);
  }, 2 * GROWTH);
});

const BOMBS: readonly [string, () => Buffer, RegExp][] = [
  ['200,000 headers', () => Buffer.from(`${'X-A: b\r\n'.repeat(200_000)}\r\nbody\r\n.\r\n`), /^(?:250|55\d) /],
  [
    'one header of 20 MB',
    () =>
      Buffer.concat([Buffer.from('Subject: '), Buffer.alloc(20_000_000, 'h'), Buffer.from('\r\n\r\nbody\r\n.\r\n')]),
    /^(?:250|55\d) /,
  ],
  [
    'a header of 100,000 lines',
    () => Buffer.from(`Subject: x\r\n${' folded\r\n'.repeat(100_000)}\r\nbody\r\n.\r\n`),
    /^(?:250|55\d) /,
  ],
  [
    'To: with 100,000 addresses',
    () => Buffer.from(`To: ${'a@example.com,\r\n '.repeat(100_000)}z@example.com\r\n\r\nbody\r\n.\r\n`),
    /^(?:250|55\d) /,
  ],
  [
    'brackets in brackets',
    () => Buffer.from(`To: ${'('.repeat(500_000)}\r\nFrom: ${'<'.repeat(500_000)}\r\n\r\nbody\r\n.\r\n`),
    /^(?:250|55\d) /,
  ],
  [
    '1,000 Received: headers',
    () => Buffer.from(`${'Received: from x by y\r\n'.repeat(1000)}\r\nbody\r\n.\r\n`),
    /^554 5\.4\.0 Error: too many hops$/,
  ],
  [
    'parts in parts',
    () =>
      Buffer.from(
        `${Array.from({ length: 3000 }, (_, at) => `Content-Type: multipart/mixed; boundary="b${at}"\r\n\r\n--b${at}\r\n`).join('')}\r\n.\r\n`,
      ),
    /^(?:250|55\d) /,
  ],
];
for (const [name, content, expected] of BOMBS) {
  test(`a header bomb: ${name}`, async () => {
    const bytes = content();
    await beside(async () => {
      using client = new Client();
      await client.envelope();
      await client.say('DATA\r\n');
      const replies = client.replies;
      for (let at = 0; at < bytes.length; at += 256 * 1024) await client.pour(bytes.subarray(at, at + 256 * 1024));
      await client.replied(replies + 1);
      assert.match(
        client.text
          .match(/^\d{3} .*$/gm)!
          .at(-1)!
          .trimEnd(),
        expected,
      );
    });
  });
}
