/**
 * What `helm test` runs: sends one message by SMTP, and waits until a log of the MailServer's pods says what became of it.
 * Ends with 0 when the message was delivered, with 1 when it was refused, bounced, or not delivered in time; its last line says so.
 *
 * Reads SMTP_HOST, SMTP_PORT, PROXY_PROTOCOL (not empty where the server wants a PROXY header first), MAIL_FROM, RCPT_TO, TIMEOUT_SECONDS, MAIL_SERVER and NAMESPACE; for tests of its own also
 * KUBERNETES_API and KUBERNETES_TOKEN_FILE. Node alone runs it: it has no packages.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const {
  SMTP_HOST = 'localhost',
  SMTP_PORT = '25',
  PROXY_PROTOCOL = '',
  MAIL_FROM = '',
  RCPT_TO = '',
  TIMEOUT_SECONDS = '120',
  MAIL_SERVER = '',
  NAMESPACE = '',
  KUBERNETES_API = 'https://kubernetes.default.svc',
  KUBERNETES_TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token',
} = process.env;

const STEP_TIMEOUT = 10_000;
const POLL = 1000;
const started = Date.now();
const deadline = started + Number(TIMEOUT_SECONDS) * 1000;

class Refused extends Error {}

/** Header of version 1 of the PROXY protocol with the addresses of the connection itself. */
function proxyHeader({ localAddress, localPort, remoteAddress, remotePort }) {
  const [source, destination] = [localAddress, remoteAddress].map((address) => address.replace(/^::ffff:(?=\d+\.)/i, ''));
  return `PROXY ${source.includes(':') ? 'TCP6' : 'TCP4'} ${source} ${destination} ${localPort} ${remotePort}\r\n`;
}

/** One SMTP session with one message; resolves to the queue id. Rejects with Refused where trying again is of no use. */
async function send() {
  const socket = connect({ host: SMTP_HOST, port: Number(SMTP_PORT) });
  socket.setTimeout(STEP_TIMEOUT, () => socket.destroy(new Error(`no answer within ${STEP_TIMEOUT / 1000} s`)));
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const failed = new Promise((_, reject) => socket.once('error', reject));
  failed.catch(() => undefined);
  if (PROXY_PROTOCOL !== '') socket.once('connect', () => socket.write(proxyHeader(socket)));
  const reply = async () => {
    for (;;) {
      const { value, done } = await Promise.race([lines.next(), failed]);
      if (done) throw new Error('the server closed the connection');
      if (/^\d{3}(?: |$)/.test(value)) return value;
    }
  };
  const expect = async (digit, what) => {
    const line = await reply();
    if (line.startsWith(digit)) return line;
    const problem = `${what}: ${line}`;
    throw line.startsWith('5') ? new Refused(problem) : new Error(problem);
  };
  const command = async (text, digit) => {
    socket.write(`${text}\r\n`);
    return expect(digit, text);
  };
  try {
    await expect('2', 'greeting');
    await command('EHLO helm-test.localdomain', '2');
    await command(`MAIL FROM:<${MAIL_FROM}>`, '2');
    await command(`RCPT TO:<${RCPT_TO}>`, '2');
    await command('DATA', '3');
    const text = [`From: <${MAIL_FROM}>`, `To: <${RCPT_TO}>`, 'Subject: helm test', '', 'This message is a test.', '.'];
    const line = await command(text.join('\r\n'), '2').catch((error) => {
      throw error instanceof Refused ? new Refused(error.message.split('\n').at(-1)) : error;
    });
    socket.write('QUIT\r\n');
    const id = /queued as (\w+)/.exec(line)?.[1];
    if (id === undefined) throw new Refused(`the answer names no queue id: ${line}`);
    return id;
  } finally {
    socket.destroy();
  }
}

async function api(path) {
  // Read each time: the token is renewed.
  const token = readFileSync(KUBERNETES_TOKEN_FILE, 'utf8').trim();
  const response = await fetch(`${KUBERNETES_API}${path}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(STEP_TIMEOUT),
  });
  if (!response.ok) throw new Error(`${path.split('?')[0]}: ${response.status} ${(await response.text()).slice(0, 200)}`);
  return response.text();
}

/** The log lines about the message from all pods of the MailServer. */
async function linesAbout(id) {
  const selector = encodeURIComponent(`postfleet.dev/mailserver=${MAIL_SERVER}`);
  const pods = JSON.parse(await api(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${selector}`));
  const seconds = Math.ceil((Date.now() - started) / 1000) + 5;
  const logs = await Promise.all(
    pods.items
      .filter(({ status }) => status.phase === 'Running')
      .map(({ metadata }) =>
        api(
          `/api/v1/namespaces/${NAMESPACE}/pods/${metadata.name}/log?container=postfleet&sinceSeconds=${seconds}&limitBytes=10000000`,
        ).catch(() => ''),
      ),
  );
  return logs.flatMap((log) => log.split('\n').filter((line) => line.includes(`${id}: `)));
}

/** Tries until the deadline; what could not be done before it is told. */
async function untilDeadline(attempt) {
  for (;;) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
      if (Date.now() > deadline) throw new Error(`not within ${TIMEOUT_SECONDS} s`);
    } catch (error) {
      if (error instanceof Refused || Date.now() > deadline) throw error;
      console.log(`trying again: ${error.message}`);
    }
    await sleep(POLL);
  }
}

async function main() {
  console.log(`sending to ${RCPT_TO} through ${SMTP_HOST}:${SMTP_PORT}`);
  const id = await untilDeadline(send);
  console.log(`accepted as ${id}`);
  let told = '';
  await untilDeadline(async () => {
    const line = (await linesAbout(id)).findLast((candidate) => / status=\w+/.test(candidate));
    if (line === undefined || line === told) return undefined;
    told = line;
    console.log(line);
    const status = / status=(\w+)/.exec(line)[1];
    if (status === 'bounced') throw new Refused(`${id} was bounced`);
    return status === 'sent' ? status : undefined;
  });
  console.log(`delivered: ${id}`);
}

try {
  await main();
} catch (error) {
  console.log(`FAILED: ${error.message}`);
  process.exitCode = 1;
}
