/**
 * A name server for tests, by UDP and TCP on one free port of 127.0.0.1, with the records that the test gives it.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from 'dns-packet';

export interface Zone {
  /** `name TYPE` in lower and upper case → records; a name without any is unknown (NXDOMAIN). */
  readonly records: Readonly<Record<string, readonly unknown[]>>;
  /** Names for which the server answers with this code, or does not answer at all. */
  readonly trouble?: Readonly<Record<string, 'SERVFAIL' | 'silence'>>;
  /** Set the AD bit. */
  readonly authentic?: boolean;
  /** Answer by UDP with TC, so that the client must come by TCP. */
  readonly truncate?: boolean;
  /** Know no EDNS. */
  readonly plain?: boolean;
  readonly ttl?: number;
}

export interface DnsServer extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:port`, for postfleet_dns_servers. */
  readonly address: string;
  /** Questions so far: `udp name TYPE`. */
  readonly questions: string[];
}

const RCODE = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3 };
const MOST_ALIASES = 20;

function answer(zone: Zone, query: DecodedPacket, transport: 'udp' | 'tcp'): Packet | undefined {
  const question = query.questions![0]!;
  const name = question.name.toLowerCase();
  const response = (flags: number, more: Packet = {}): Packet => ({
    type: 'response',
    id: query.id!,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | flags,
    questions: query.questions!,
    ...more,
  });
  if (zone.plain === true && (query.additionals ?? []).length > 0) return response(RCODE.FORMERR);
  const trouble = zone.trouble?.[name];
  if (trouble === 'silence') return undefined;
  if (trouble === 'SERVFAIL') return response(RCODE.SERVFAIL);
  const answers: Answer[] = [];
  const ttl = zone.ttl ?? 300;
  let at = name;
  for (let aliases = 0; aliases < MOST_ALIASES; aliases++) {
    const [alias] = zone.records[`${at} CNAME`] ?? [];
    if (alias === undefined || question.type === 'CNAME') break;
    answers.push({ type: 'CNAME', name: at, ttl, data: alias } as Answer);
    at = String(alias);
  }
  for (const data of zone.records[`${at} ${question.type}`] ?? []) {
    answers.push({ type: question.type, name: at, ttl, data } as Answer);
  }
  const known = Object.keys(zone.records).some((key) => key.startsWith(`${at} `));
  const bits = zone.authentic === true ? dnsPacket.AUTHENTIC_DATA : 0;
  if (zone.truncate === true && transport === 'udp') return response(bits | dnsPacket.TRUNCATED_RESPONSE);
  return response(bits | (known ? 0 : RCODE.NXDOMAIN), { answers });
}

export async function dnsServer(zone: Zone): Promise<DnsServer> {
  const questions: string[] = [];
  const reply = (bytes: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined => {
    const query = dnsPacket.decode(bytes);
    const question = query.questions![0]!;
    questions.push(`${transport} ${question.name} ${question.type}`);
    const packet = answer(zone, query, transport);
    return packet === undefined ? undefined : dnsPacket.encode(packet);
  };
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      const packet = reply(bytes.subarray(2), 'tcp');
      if (packet === undefined) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      // In two pieces, as a network may cut them.
      socket.write(length);
      socket.end(packet);
    });
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };
  const udp = createSocket('udp4');
  udp.on('message', (bytes, from) => {
    const packet = reply(bytes, 'udp');
    if (packet !== undefined) udp.send(packet, from.port, from.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  return {
    port,
    address: `127.0.0.1:${port}`,
    questions,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      udp.close();
      tcp.close();
      await once(tcp, 'close');
    },
  };
}
