/**
 * Where other services call an entry of master.cf: a Service without an address of its own, so that callers see every
 * replica. Its name follows from postfleet_rpc_address.
 */
import type { V1Service } from '@kubernetes/client-node';
import type { FleetProcess, FleetService } from '../../lib/mailserver/fleet.ts';
import { type Child, childName, HTTP_PORT, metadata, type PlanInput, RPC_PORT, selector } from './input.ts';

export function headlessService({ owner }: PlanInput, process: FleetProcess, service: FleetService): Child {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(owner, childName(owner, service.name), service.name),
    spec: {
      clusterIP: 'None',
      ipFamilyPolicy: 'PreferDualStack',
      selector: selector(owner, process),
      ports: [
        { name: 'rpc', port: RPC_PORT, targetPort: 'rpc', protocol: 'TCP' },
        { name: 'http', port: HTTP_PORT, targetPort: 'http', protocol: 'TCP' },
      ],
    },
  } satisfies V1Service satisfies Child;
}
