/**
 * One question to one name server and its answer: by UDP (RFC 1035 section 4.2.1), by TCP where the answer is cut off
 * (RFC 7766). Each question has a port and a random id of its own; answers to other questions are ignored.
 *
 * EDNS (RFC 6891) is used with the DO bit, so that a validating server says with the AD bit whether it validated the answer; a
 * server that does not know EDNS is asked without.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import dnsPacket, { type DecodedPacket } from 'dns-packet';
import type { RecordType } from './answer.ts';

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

/** A decoded answer with its response code, or why there is none. */
export type Exchange = { readonly packet: DecodedPacket; readonly rcode: string } | { readonly problem: string };

/** The largest UDP answer that no network of today cuts into pieces. */
const UDP_PAYLOAD = 1232;
/** Most octets of an answer by TCP; its length field allows no more. */
const TCP_LIMIT = 65_537;

function encodeQuery(id: number, question: Question, edns: boolean): Buffer {
  return dnsPacket.encode({
    type: 'query',
    id,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.AUTHENTIC_DATA,
    questions: [{ name: question.name, type: question.type, class: 'IN' }],
    additionals: edns
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: UDP_PAYLOAD,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: dnsPacket.DNSSEC_OK,
            flag_do: true,
            options: [],
          },
        ]
      : [],
  });
}

/** The packet, if it answers the question; undefined for what is anything else. */
function decodeAnswer(bytes: Buffer, id: number, question: Question): DecodedPacket | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id) return undefined;
  let packet: DecodedPacket;
  try {
    packet = dnsPacket.decode(bytes);
  } catch {
    return undefined;
  }
  const [asked] = packet.questions ?? [];
  if (!packet.flag_qr) return undefined;
  // A server that could not read the question need not repeat it.
  if (asked === undefined) return rcodeOf(packet) === 'FORMERR' ? packet : undefined;
  return asked.type === question.type && asked.name.toLowerCase() === question.name.toLowerCase() ? packet : undefined;
}

function rcodeOf(packet: DecodedPacket): string {
  return (packet as DecodedPacket & { rcode: string }).rcode;
}

/** Asks one server and waits at most `timeout` milliseconds for each answer. */
export async function exchange(server: NameServer, question: Question, timeout: number): Promise<Exchange> {
  let edns = true;
  for (;;) {
    const id = randomInt(65_536);
    const query = encodeQuery(id, question, edns);
    let packet = await askByUdp(server, query, id, question, timeout);
    if (typeof packet !== 'string' && packet.flag_tc) packet = await askByTcp(server, query, id, question, timeout);
    if (typeof packet === 'string') return { problem: packet };
    const rcode = rcodeOf(packet);
    if (!edns || (rcode !== 'FORMERR' && rcode !== 'NOTIMP')) return { packet, rcode };
    edns = false;
  }
}

/** The answer, or why there is none. */
function askByUdp(
  server: NameServer,
  query: Buffer,
  id: number,
  question: Question,
  timeout: number,
): Promise<DecodedPacket | string> {
  const { promise, resolve } = Promise.withResolvers<DecodedPacket | string>();
  const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4');
  const finish = (result: DecodedPacket | string) => {
    clearTimeout(timer);
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.close();
    resolve(result);
  };
  const timer = setTimeout(() => finish('timed out'), timeout);
  socket.on('error', (error) => finish(error.message));
  socket.on('message', (bytes) => {
    const packet = decodeAnswer(bytes, id, question);
    if (packet !== undefined) finish(packet);
  });
  // A connected socket hears from that server alone, and of a port that nobody listens on.
  socket.connect(server.port, server.address, () => socket.send(query));
  return promise;
}

function askByTcp(
  server: NameServer,
  query: Buffer,
  id: number,
  question: Question,
  timeout: number,
): Promise<DecodedPacket | string> {
  const { promise, resolve } = Promise.withResolvers<DecodedPacket | string>();
  const socket = connect({ host: server.address, port: server.port, noDelay: true });
  const received: Buffer[] = [];
  let length = 0;
  const finish = (result: DecodedPacket | string) => {
    clearTimeout(timer);
    socket.destroy();
    resolve(result);
  };
  const timer = setTimeout(() => finish('timed out'), timeout);
  socket.on('error', (error) => finish(error.message));
  socket.on('close', () => finish('connection closed'));
  socket.on('connect', () => {
    const size = Buffer.alloc(2);
    size.writeUInt16BE(query.length);
    socket.write(Buffer.concat([size, query]));
  });
  socket.on('data', (bytes: Buffer) => {
    received.push(bytes);
    length += bytes.length;
    if (length < 2) return;
    const all = Buffer.concat(received);
    const end = 2 + all.readUInt16BE(0);
    if (length >= end) finish(decodeAnswer(all.subarray(2, end), id, question) ?? 'malformed answer');
    else if (length > TCP_LIMIT) finish('answer too long');
  });
  return promise;
}
