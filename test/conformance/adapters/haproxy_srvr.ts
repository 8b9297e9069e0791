/** haproxy_srvr: PROXY protocol headers, as JSON. */
import { readFileSync } from 'node:fs';
import { readProxyHeader } from '../../../lib/smtp/proxy-protocol.ts';

const cases: { request: string }[] = JSON.parse(readFileSync(0, 'utf8'));
const results = cases.map(({ request }) => {
  const header = readProxyHeader(Buffer.from(request, 'latin1'));
  if (header.kind === 'error') return { error: header.error };
  if (header.kind !== 'addresses') return { error: null, kind: header.kind };
  const { clientAddress, serverAddress, clientPort, serverPort } = header.addresses;
  return {
    error: null,
    consumed: header.consumed,
    client_addr: clientAddress,
    server_addr: serverAddress,
    client_port: String(clientPort),
    server_port: String(serverPort),
  };
});
process.stdout.write(JSON.stringify(results));
