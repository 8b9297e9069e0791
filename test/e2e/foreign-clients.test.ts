/** Clients of others, in both shapes: what they hand over reaches the next hop and mailboxes byte for byte. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import nodemailer from 'nodemailer';
import { debianPostfix, withoutPostfix } from '../support/debian-postfix.ts';
import { until } from '../support/until.ts';
import { type NextHop, run, type Shape, startInstance, startNextHop, type TestInstance } from './instance.ts';

/** Why a test that needs the program is skipped; false where it is there. */
function has(program: string): string | false {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  return folders.some((folder) => existsSync(join(folder, program))) ? false : `${program} is not installed`;
}

/** Addresses that only SMTPUTF8 has, and a text that no charset of single octets has. */
const UTF8_SENDER = 'müller@example.org';
const UTF8_ADDRESS = 'jürgen.日本@example.com';
const UTF8_TEXT = 'Schöne Grüße – 日本語\r\n.ein Punkt\r\n';

for (const shape of ['one', 'many'] as const satisfies readonly Shape[]) {
  describe(shape === 'one' ? 'all services in one process' : 'each daemon a process', () => {
    let hop: NextHop;
    let instance: TestInstance;
    /** Messages that were handed over so far, each with one recipient: by SMTP, and to sendmail. */
    let [sent, piped] = [0, 0];

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

    test('swaks', { skip: has('swaks') }, async () => {
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
      sent++;
      const { from, to, content } = await hop.message('swaks body');
      assert.equal(from, 'a@example.org');
      assert.deepEqual(to, ['b@example.com']);
      assert.match(
        content.toString('latin1'),
        /^Received: from .*\r\n\tby mail\.example\.org \(Postfix\) with ESMTP id \w+\r\n\tfor <b@example\.com>; /,
      );
    });

    test("Python's smtplib, with 8-bit octets and a line that begins with a dot", {
      skip: has('python3'),
    }, async () => {
      const script = `
import smtplib, sys
body = bytes(range(128, 256)) + b"\\r\\n.a line with a dot\\r\\n..two\\r\\n"
s = smtplib.SMTP('127.0.0.1', ${instance.port})
s.sendmail('py@example.org', ['c@example.com'], b'Subject: smtplib\\r\\n\\r\\n' + body, mail_options=['BODY=8BITMIME'])
s.quit()`;
      await run('python3', ['-c', script]);
      sent++;
      const { content } = await hop.message('Subject: smtplib');
      const body = content.subarray(content.indexOf('\r\n\r\n') + 4);
      const expected = Buffer.concat([
        Buffer.from(Array.from({ length: 128 }, (_, at) => 128 + at)),
        Buffer.from('\r\n.a line with a dot\r\n..two\r\n'),
      ]);
      assert.equal(Buffer.compare(body, expected), 0);
    });

    /** Sends a message with UTF-8 everywhere to the server on that port; what comes to the next hop is the same octets. */
    async function roundTrip(port: number, mark: string): Promise<void> {
      const transport = nodemailer.createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true });
      const message = Buffer.from(
        `From: Müller <${UTF8_SENDER}>\r\nTo: <${UTF8_ADDRESS}>\r\nSubject: Grüße\r\nMessage-Id: <${mark}@example.org>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n${UTF8_TEXT}`,
      );
      await transport.sendMail({ envelope: { from: UTF8_SENDER, to: UTF8_ADDRESS }, raw: message });
      transport.close();
      sent++;
      const { from, to, content } = await hop.message(mark);
      assert.equal(from, UTF8_SENDER);
      assert.deepEqual(to, [UTF8_ADDRESS]);
      const instanceReceived = /\tby mail\.example\.org \(Postfix\) with UTF8SMTP id \w+\r\n/;
      assert.match(content.toString(), instanceReceived);
      assert.deepEqual(content.subarray(content.indexOf('From: ')), message);
    }

    test('nodemailer, with UTF-8 in addresses, headers and text (SMTPUTF8)', () =>
      roundTrip(instance.port, 'nodemailer-utf8'));

    test("Debian's Postfix, which relays to it", { skip: withoutPostfix }, async () => {
      await using postfix = await debianPostfix({ relayPort: instance.port });
      await roundTrip(postfix.port, 'postfix-utf8');
    });

    test('smtp-source, many messages over many sessions', { skip: has('smtp-source') }, async () => {
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
      sent += 200;
      await until('200 messages', () => hop.received.length >= before + 200);
      assert.equal(hop.received.length, before + 200);
    });

    test('sendmail in a pipe, as cron has it, into a maildir', async () => {
      const output =
        'From: root (Cron Daemon)\nTo: box\nSubject: Cron <root@host> job\n\nIt ran.\n.\nThis comes after a lone dot.\n';
      await instance.command('sendmail', ['-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'box@boxes.example'], {
        stdin: output,
      });
      piped++;
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
      await until('the counts', async () => (await sums()).delivered >= sent + piped);
      // Those that take mail by SMTP count it.
      assert.deepEqual(await sums(), { accepted: sent, delivered: sent + piped });
    });
  });
}
