/** What becomes of mail when servers break off, refuse, fall silent or talk nonsense. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DeliveryReply, DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { type Conversation, scriptedServer } from '../../test/support/scripted-server.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: test\n\nhello\n');
const PIPELINING = ['250-scripted.example', '250 PIPELINING'];

type Script = (conversation: Conversation, index: number) => Promise<void> | void;

/** Says hello and goes on with what the case is about. */
function greeted(rest: Script, ehlo: readonly string[] = PIPELINING): Script {
  return async (conversation, index) => {
    conversation.say('220 scripted.example ESMTP');
    await conversation.until('EHLO');
    for (const line of ehlo) conversation.say(line);
    await rest(conversation, index);
  };
}

async function deliver(
  script: Script,
  mainCf = '',
  ...recipients: string[]
): Promise<{ reply: DeliveryReply; lines: string[]; status: string[]; heard: string[] }> {
  await using server = await scriptedServer(script);
  await using agent = await startAgent(service, { mainCf });
  const to = recipients.length > 0 ? recipients : ['a@example.org'];
  const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content }, ...to);
  const lines = agent.lines.map((line) => line.replace(/:\d{4,5}\b/g, ':PORT'));
  return { reply, lines, status: statusOf(reply), heard: server.conversations[0]!.heard };
}

const HOST = 'host 127.0.0.1[127.0.0.1]';
const LOST = 'lost connection with 127.0.0.1[127.0.0.1] while';
const TIMED_OUT = 'conversation with 127.0.0.1[127.0.0.1] timed out while';

const cases: {
  name: string;
  script: Script;
  mainCf?: string;
  status: string;
  outcome: 'deferred' | 'bounced';
  /** Is the destination reported as unavailable? */
  site: boolean;
}[] = [
  {
    name: 'a greeting with 4xx',
    script: (conversation) => conversation.say('421 4.3.2 too busy'),
    status: `4.3.2 ${HOST} refused to talk to me: 421 4.3.2 too busy`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'a greeting with 5xx counts as temporary',
    script: (conversation) => conversation.say('554 5.7.1 go away'),
    status: `4.7.1 ${HOST} refused to talk to me: 554 5.7.1 go away`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'a greeting with 5xx bounces where smtp_skip_5xx_greeting = no',
    script: (conversation) => conversation.say('554 go away'),
    mainCf: 'smtp_skip_5xx_greeting = no',
    status: `5.0.0 ${HOST} refused to talk to me: 554 go away`,
    outcome: 'bounced',
    site: false,
  },
  {
    name: 'a server that closes without a greeting',
    script: () => undefined,
    status: `4.4.2 ${LOST} receiving the initial server greeting`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'a server that says nothing',
    script: () => new Promise(() => undefined),
    mainCf: 'smtp_helo_timeout = 1s',
    status: `4.4.2 ${TIMED_OUT} receiving the initial server greeting`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'a server that closes after EHLO',
    script: async (conversation) => {
      conversation.say('220 hi');
      await conversation.until('EHLO');
    },
    status: `4.4.2 ${LOST} performing the EHLO handshake`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'a server that refuses HELO too',
    script: async (conversation) => {
      conversation.say('220 hi');
      await conversation.until('EHLO');
      conversation.say('502 what');
      await conversation.until('HELO');
      conversation.say('550 5.7.1 not you');
    },
    status: `5.7.1 ${HOST} refused to talk to me: 550 5.7.1 not you`,
    outcome: 'bounced',
    site: false,
  },
  {
    name: 'a server that closes instead of answering MAIL',
    script: greeted(async (conversation) => void (await conversation.until('DATA'))),
    status: `4.4.2 ${LOST} sending MAIL FROM`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'MAIL refused for good',
    script: greeted(async (conversation) => {
      await conversation.until('MAIL');
      conversation.say('550 5.7.1 sender\r\n503 no\r\n503 no');
      await conversation.serve();
    }),
    status: `5.7.1 ${HOST} said: 550 5.7.1 sender (in reply to MAIL FROM command)`,
    outcome: 'bounced',
    site: false,
  },
  {
    name: 'MAIL refused for the time being',
    script: greeted(async (conversation) => {
      await conversation.until('MAIL');
      conversation.say('451 later\r\n503 no\r\n503 no');
      await conversation.serve();
    }),
    status: `4.0.0 ${HOST} said: 451 later (in reply to MAIL FROM command)`,
    outcome: 'deferred',
    site: false,
  },
  {
    name: '421 in the middle of a transaction',
    script: greeted(async (conversation) => {
      await conversation.until('RCPT');
      conversation.say('250 ok\r\n421 4.3.2 shutting down');
      conversation.socket.end();
      await conversation.until('never');
    }),
    status: `4.3.2 ${HOST} said: 421 4.3.2 shutting down (in reply to RCPT TO command)`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'a recipient refused with several lines',
    script: greeted(async (conversation) => {
      await conversation.until('RCPT');
      conversation.say('250 ok\r\n550-5.1.1 no such\r\n550 5.1.1 user here\r\n554 no recipients');
      await conversation.serve();
    }),
    status: `5.1.1 ${HOST} said: 550-5.1.1 no such 550 5.1.1 user here (in reply to RCPT TO command)`,
    outcome: 'bounced',
    site: false,
  },
  {
    name: 'DATA refused',
    script: greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n250 ok\r\n451 4.3.0 disk');
      await conversation.serve();
    }),
    status: `4.3.0 ${HOST} said: 451 4.3.0 disk (in reply to DATA command)`,
    outcome: 'deferred',
    site: false,
  },
  {
    name: 'a server that closes instead of answering the end of data',
    script: greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n250 ok\r\n354 go');
      await conversation.content();
    }),
    status: `4.4.2 ${LOST} sending end of data -- message may be sent more than once`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'no reply to the end of data',
    script: greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n250 ok\r\n354 go');
      await conversation.content();
      await conversation.until('never');
    }),
    mainCf: 'smtp_data_done_timeout = 1s',
    status: `4.4.2 ${TIMED_OUT} sending end of data -- message may be sent more than once`,
    outcome: 'deferred',
    site: true,
  },
  {
    name: 'the end of data refused for good',
    script: greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n250 ok\r\n354 go');
      await conversation.content();
      conversation.say('554 5.7.1 spam');
      await conversation.serve();
    }),
    status: `5.7.1 ${HOST} said: 554 5.7.1 spam (in reply to end of DATA command)`,
    outcome: 'bounced',
    site: false,
  },
  {
    name: 'a status that does not fit the reply code',
    script: greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n550 4.2.2 full\r\n503 no');
      await conversation.serve();
    }),
    status: `5.0.0 ${HOST} said: 550 4.2.2 full (in reply to RCPT TO command)`,
    outcome: 'bounced',
    site: false,
  },
];

for (const { name, script, mainCf, status, outcome, site } of cases) {
  test(name, async () => {
    const result = await deliver(script, `smtp_rcpt_timeout = 1s\nsmtp_data_init_timeout = 1s\n${mainCf ?? ''}`);
    assert.deepEqual(result.status, [status]);
    assert.equal(
      result.reply.recipients[0]!.status,
      outcome === 'bounced' ? DeliveryStatus.BOUNCED : DeliveryStatus.DEFERRED,
    );
    assert.equal(result.reply.destinationUnavailable !== undefined, site);
    assert.equal(result.lines.length, 1);
    const reason = status.slice(status.indexOf(' ') + 1);
    assert.ok(result.lines[0]!.endsWith(`, status=${outcome} (${reason})`), result.lines[0]);
    assert.ok(result.lines[0]!.includes('relay=127.0.0.1[127.0.0.1]:PORT'), result.lines[0]);
  });
}

test('nobody listens', async () => {
  const server = await scriptedServer(() => undefined);
  await server[Symbol.asyncDispose]();
  await using agent = await startAgent(service, { mainCf: '' });
  const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content }, 'a@example.org');
  const reason = `connect to 127.0.0.1[127.0.0.1]:${server.port}: Connection refused`;
  assert.deepEqual(statusOf(reply), [`4.4.1 ${reason}`]);
  assert.equal(reply.destinationUnavailable!.reason, reason);
  assert.equal(agent.lines[0], reason);
  assert.match(
    agent.lines[1]!,
    /: to=<a@example\.org>, relay=none, delay=.*, dsn=4\.4\.1, status=deferred \(connect to /,
  );
});

test('each recipient has the answer that it got, and those accepted are delivered', async () => {
  const { reply, heard } = await deliver(
    greeted(async (conversation) => {
      await conversation.until('MAIL');
      conversation.say('250 ok');
      for (const answer of ['550 5.1.1 unknown', '250 ok', '452 4.2.2 full']) {
        await conversation.until('RCPT');
        conversation.say(answer);
      }
      await conversation.until('DATA');
      conversation.say('354 go');
      await conversation.content();
      conversation.say('250 2.0.0 kept');
      await conversation.serve();
    }),
    '',
    'a@example.org',
    'b@example.org',
    'c@example.org',
  );
  const byOffset = reply.recipients.toSorted((a, b) => a.offset - b.offset);
  assert.deepEqual(
    byOffset.map(({ status, notification }) => [status, notification!.status]),
    [
      [DeliveryStatus.BOUNCED, '5.1.1'],
      [DeliveryStatus.SENT, '2.0.0'],
      [DeliveryStatus.DEFERRED, '4.2.2'],
    ],
  );
  assert.equal(heard.filter((line) => line === '.').length, 1);
});

test('a server that wants content for no recipient gets none, and the session goes on', async () => {
  await using server = await scriptedServer(
    greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n550 5.1.1 unknown\r\n354 go');
      await conversation.content();
      conversation.say('554 no valid recipients');
      await conversation.serve();
    }),
  );
  await using agent = await startAgent(service, { mainCf: '' });
  const nexthop = `[127.0.0.1]:${server.port}`;
  assert.match(statusOf(await agent.deliver({ nexthop, content }, 'a@example.org'))[0]!, /^5\.1\.1 /);
  assert.match(statusOf(await agent.deliver({ nexthop, content }, 'b@example.org'))[0]!, /^2\.0\.0 /);
  assert.equal(server.conversations.length, 1);
  const heard = server.conversations[0]!.heard;
  assert.equal(heard[4], '.');
  assert.equal(heard[5], 'RSET');
});

test('a kept connection that the server closed meanwhile is replaced without a word', async () => {
  for (const goodbye of ['', '421 4.4.2 idle for too long']) {
    await using server = await scriptedServer(
      greeted(async (conversation, index) => {
        await conversation.until('DATA');
        conversation.say('250 ok\r\n250 ok\r\n354 go');
        await conversation.content();
        conversation.say('250 kept');
        if (index > 0) return conversation.serve();
        // The end comes only when the client begins the next transaction, so that it cannot know.
        await conversation.until('MAIL');
        if (goodbye !== '') conversation.say(goodbye);
        conversation.socket.end();
      }),
    );
    await using agent = await startAgent(service, { mainCf: '' });
    const nexthop = `[127.0.0.1]:${server.port}`;
    for (const recipient of ['a@example.org', 'b@example.org']) {
      assert.deepEqual(statusOf(await agent.deliver({ nexthop, content }, recipient)), ['2.0.0 250 kept']);
    }
    assert.equal(server.conversations.length, 2);
    assert.equal(agent.lines.length, 2);
  }
});

test('a reply without end is cut, and the conversation goes on', async () => {
  const { status } = await deliver(
    greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say(`250 ok\r\n550 5.1.1 ${'x'.repeat(100_000)}\r\n503 no`);
      await conversation.serve();
    }),
  );
  assert.ok(status[0]!.startsWith('5.1.1 ') && status[0]!.length < 2200);
});

test('control characters of a server forge no log line', async () => {
  const { lines } = await deliver((conversation) => conversation.say('421 \u0007\rpostfix/smtp[1]: forged\u001b[2J'));
  assert.equal(lines.length, 1);
});

test('lines that are no replies are passed over, and logged', async () => {
  const { status, lines } = await deliver(
    greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('HTTP/1.1 400 Bad Request\r\n250 ok\r\n250 ok\r\n354 go');
      await conversation.content();
      conversation.say('250 kept');
      await conversation.serve();
    }),
  );
  assert.deepEqual(status, ['2.0.0 250 kept']);
  assert.equal(
    lines[0],
    'warning: 4TestQueueId: non-ESMTP response from 127.0.0.1[127.0.0.1]:PORT: HTTP/1.1 400 Bad Request',
  );
});

test('a server that talks nothing but nonsense is left', async () => {
  const { status } = await deliver(
    greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('junk\r\n'.repeat(1000));
      await conversation.until('never');
    }),
  );
  assert.deepEqual(status, [`4.4.2 ${LOST} sending MAIL FROM`]);
});

test('lines that are too long are broken, which is logged', async () => {
  await using server = await scriptedServer(
    greeted(async (conversation) => {
      await conversation.serve();
    }),
  );
  await using agent = await startAgent(service, { mainCf: 'smtp_line_length_limit = 100' });
  const long = Buffer.from(`Subject: x\n\n${'y'.repeat(150)}\n`);
  await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content: long }, 'a@example.org');
  assert.equal(agent.lines[0], '4TestQueueId: breaking line > 100 bytes with <CR><LF>SPACE');
  assert.ok(server.conversations[0]!.heard.includes(` ${'y'.repeat(50)}`));
});

test('an address that could end a command is not sent', async () => {
  const { status, heard } = await deliver(
    greeted(async (conversation) => {
      await conversation.until('MAIL');
      conversation.say('250 ok\r\n250 ok\r\n354 go');
      await conversation.content();
      conversation.say('250 kept');
      await conversation.serve();
    }),
    '',
    'a@example.org>\r\nRCPT TO:<evil@example.org',
    'b@example.org',
  );
  assert.equal(status[0], '5.1.3 bad recipient address syntax');
  assert.ok(!heard.some((line) => line.includes('evil')));
});

test('a server that stops reading in the middle of a long message is given up in time', async () => {
  await using server = await scriptedServer(
    greeted(async (conversation) => {
      await conversation.until('DATA');
      conversation.say('250 ok\r\n250 ok\r\n354 go');
      conversation.socket.pause();
      await conversation.until('never');
    }),
  );
  await using agent = await startAgent(service, { mainCf: 'smtp_data_xfer_timeout = 1s' });
  const long = Buffer.alloc(20_000_000, 'x'.repeat(70).concat('\n'));
  const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content: long }, 'a@example.org');
  assert.deepEqual(statusOf(reply), [`4.4.2 ${TIMED_OUT} sending message body`]);
});
