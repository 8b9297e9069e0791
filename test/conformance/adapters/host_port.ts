/** host_port: host and port of an endpoint. */
import { parseHostPort } from '../../../lib/util/host-port.ts';
import { inputLines, logLine, printLines } from '../support/tables.ts';

for (const line of inputLines()) {
  printLines(`>> ${line}`);
  const parsed = parseHostPort(line, { service: 'default-service' });
  if ('error' in parsed) logLine('host_port', `warning: ${parsed.error} in ${line}`);
  else printLines(`host ${parsed.host} port ${parsed.port}`);
}
