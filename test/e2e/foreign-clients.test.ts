/** Clients of others, in both shapes: what they hand over reaches the next hop and mailboxes byte for byte. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import nodemailer from 'nodemailer';
import { type NextHop, run, type Shape, startInstance, startNextHop, type TestInstance, until } from './instance.ts';

const has = (path: string): string | false => (existsSync(path) ? false : `${path} is not installed`);

for (const shape of ['one', 'many'] as const satisfies readonly Shape[]) {
  describe(shape === 'one' ? 'all services in one process' : 'each daemon a process', () => {
    let hop: NextHop;
    let instance: TestInstance;

    before(async () => {
      hop = await startNextHop();
      instance = await startInstance({
        shape,
        mainCf: `
myhostname = mail.example.org
mydestination = localhost
relay_domains = example.com
relayhost = [127.0.0.1]:${hop.port}
local_recipient_maps =
virtual_mailbox_domains = boxes.example
virtual_mailbox_base = $postfleet_state_directory/mail
virtual_mailbox_maps = inline:{ {box@boxes.example = boxes.example/box/} }
smtp_tls_security_level = none`,
      });
    });
    after(async () => {
      await instance?.[Symbol.asyncDispose]();
      await hop?.[Symbol.asyncDispose]();
    });

    test('swaks', { skip: has('/usr/bin/swaks') }, async () => {
      await run('swaks', [
        '--server',
        `127.0.0.1:${instance.port}`,
        '--from',
        'a@example.org',
        '--to',
        'b@example.com',
        '--header',
        'Subject: by swaks',
        '--body',
        'swaks body',
      ]);
      const { from, to, content } = await hop.message('swaks body');
      assert.equal(from, 'a@example.org');
      assert.deepEqual(to, ['b@example.com']);
      assert.match(
        content.toString('latin1'),
        /^Received: from .*\r\n\tby mail\.example\.org \(Postfix\) with ESMTP id \w+\r\n\tfor <b@example\.com>; /,
      );
    });

    test("Python's smtplib, with 8-bit octets and a line that begins with a dot", async () => {
      const script = `
import smtplib, sys
body = bytes(range(128, 256)) + b"\\r\\n.a line with a dot\\r\\n..two\\r\\n"
s = smtplib.SMTP('127.0.0.1', ${instance.port})
s.sendmail('py@example.org', ['c@example.com'], b'Subject: smtplib\\r\\n\\r\\n' + body, mail_options=['BODY=8BITMIME'])
s.quit()`;
      await run('python3', ['-c', script]);
      const { content } = await hop.message('Subject: smtplib');
      const body = content.subarray(content.indexOf('\r\n\r\n') + 4);
      const sent = Buffer.concat([
        Buffer.from(Array.from({ length: 128 }, (_, at) => 128 + at)),
        Buffer.from('\r\n.a line with a dot\r\n..two\r\n'),
      ]);
      assert.equal(Buffer.compare(body, sent), 0);
    });

    test('nodemailer, with UTF-8 in addresses and text', async () => {
      const transport = nodemailer.createTransport({
        host: '127.0.0.1',
        port: instance.port,
        secure: false,
        ignoreTLS: true,
      });
      await transport.sendMail({
        from: 'node@example.org',
        to: 'd@example.com',
        subject: 'Grüße',
        text: 'Schöne Grüße – 日本語',
        attachments: [{ filename: 'a.bin', content: Buffer.alloc(10_000, 7) }],
      });
      transport.close();
      assert.match((await hop.message('a.bin')).content.toString(), /multipart\/mixed/);
    });

    test('smtp-source, many messages over many sessions', { skip: has('/usr/sbin/smtp-source') }, async () => {
      const before = hop.received.length;
      await run('/usr/sbin/smtp-source', [
        '-s',
        '10',
        '-m',
        '200',
        '-l',
        '4096',
        '-f',
        'source@example.org',
        '-t',
        'e@example.com',
        `127.0.0.1:${instance.port}`,
      ]);
      await until('200 messages', () => hop.received.length >= before + 200);
      assert.equal(hop.received.length, before + 200);
    });

    test('sendmail in a pipe, as cron has it, into a maildir', async () => {
      const output =
        'From: root (Cron Daemon)\nTo: box\nSubject: Cron <root@host> job\n\nIt ran.\n.\nThis comes after a lone dot.\n';
      await instance.command('sendmail', ['-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'box@boxes.example'], {
        stdin: output,
      });
      const files = await until('a message in the maildir', () => {
        const folder = join(instance.directory, 'var/mail/boxes.example/box/new');
        const names = existsSync(folder) ? readdirSync(folder) : [];
        return names.length > 0 && names.map((name) => readFileSync(join(folder, name), 'utf8'));
      });
      assert.equal(files.length, 1);
      assert.match(
        files[0]!,
        /^Return-Path: <.*>\nX-Original-To: box@boxes\.example\nDelivered-To: box@boxes\.example\nReceived: by mail\.example\.org \(Postfix, from userid \d+\)/,
      );
      assert.match(files[0]!, /\nIt ran\.\n\.\nThis comes after a lone dot\.\n/);
    });

    test('the metrics and health of the instance say what happened', async () => {
      const sums = async (): Promise<{ accepted: number; delivered: number }> => {
        const texts = await Promise.all(
          Array.from({ length: shape === 'one' ? 1 : 30 }, (_, at) =>
            fetch(`http://127.0.0.1:${instance.port + 4 + at}/metrics`).then(
              (response) => response.text(),
              () => '',
            ),
          ),
        );
        const sum = (name: string): number =>
          [...texts.join('\n').matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'gm'))].reduce(
            (total, match) => total + Number(match[1]),
            0,
          );
        return {
          accepted: sum('postfleet_messages_accepted_total'),
          delivered: sum('postfleet_recipients_delivered_total'),
        };
      };
      // 203 by SMTP, and one more from sendmail.
      await until('the counts', async () => {
        const { accepted, delivered } = await sums();
        return accepted >= 203 && delivered >= 204;
      });
    });
  });
}
