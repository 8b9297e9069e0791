/**
 * Who may connect to a process: anybody to the ports of its inet entries and to health and metrics; to calls, the pods of
 * this MailServer where the column private of master.cf says y for all of its entries, else any pod of the namespace.
 * A fleet whose calls need a token is not open without these; they are a second wall.
 */
import type { FleetProcess } from '../../lib/mailserver/fleet.ts';
import {
  answersCalls,
  type Child,
  childName,
  FLEET_LABEL,
  metadata,
  type PlanInput,
  portName,
  selector,
} from './input.ts';

export function networkPolicy({ owner, checked }: PlanInput, process: FleetProcess): Child | undefined {
  if (!checked.spec.networkPolicy.enabled) return undefined;
  const calls = process.services.filter(({ daemon }) => daemon.kind === 'calls');
  const isPrivate = calls.every(({ entry }) => entry.private);
  const inet = process.services.flatMap(({ port }) => (port === undefined ? [] : [port]));
  const rules: object[] = [
    {
      ports: [
        ...inet.map(({ entry }) => ({ port: portName(entry), protocol: 'TCP' })),
        { port: 'http', protocol: 'TCP' },
      ],
    },
  ];
  if (answersCalls(process))
    rules.push({
      from: [{ podSelector: isPrivate ? { matchLabels: { [FLEET_LABEL]: owner.name } } : {} }],
      ports: [{ port: 'rpc', protocol: 'TCP' }],
    });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(owner, childName(owner, process.name), process.name),
    spec: { podSelector: { matchLabels: selector(owner, process) }, policyTypes: ['Ingress'], ingress: rules },
  };
}
