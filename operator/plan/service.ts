/** The Service that clients reach: one for all inet entries. Named target ports lead each port to the pods that have it. */
import type { V1Service, V1ServicePort } from '@kubernetes/client-node';
import type { FleetPort } from '../../lib/mailserver/fleet.ts';
import { portOf } from '../../lib/mailserver/fleet.ts';
import { type Child, INGRESS_LABEL, metadata, type PlanInput, portName } from './input.ts';

function ports({ checked }: PlanInput): V1ServicePort[] {
  const inet = checked.fleet.services.flatMap(({ port }) => (port === undefined ? [] : [port]));
  const of = (service: string): FleetPort | undefined =>
    inet.find(({ entry, port }) => entry === service || port === portOf(service));
  const wanted =
    checked.spec.ingress.ports?.flatMap(({ service, port, nodePort }) => {
      const at = of(service);
      return at === undefined ? [] : [{ at, port, nodePort }];
    }) ?? inet.map((at) => ({ at, port: at.port, nodePort: undefined }));
  return wanted.map(({ at, port, nodePort }) => ({
    // Two ports may lead to one entry.
    name: port === at.port ? portName(at.entry) : `port-${port}`,
    port,
    targetPort: portName(at.entry),
    protocol: 'TCP',
    ...(nodePort === undefined ? {} : { nodePort }),
  }));
}

/** Undefined where master.cf has no inet entry. */
export function ingressService(input: PlanInput): Child | undefined {
  const { owner, checked } = input;
  const { type, trafficPolicy, annotations, loadBalancerClass, loadBalancerIP, loadBalancerSourceRanges } =
    checked.spec.ingress;
  const servicePorts = ports(input);
  if (servicePorts.length === 0) return undefined;
  const balancer = type === 'LoadBalancer';
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata(owner, owner.name), ...(annotations === undefined ? {} : { annotations }) },
    spec: {
      type,
      selector: { [INGRESS_LABEL]: owner.name },
      ipFamilyPolicy: 'PreferDualStack',
      ...(type === 'ClusterIP' ? {} : { externalTrafficPolicy: trafficPolicy }),
      ...(balancer && loadBalancerClass !== undefined ? { loadBalancerClass } : {}),
      ...(balancer && loadBalancerIP !== undefined ? { loadBalancerIP } : {}),
      ...(balancer && loadBalancerSourceRanges !== undefined ? { loadBalancerSourceRanges } : {}),
      ports: servicePorts,
    },
  } satisfies V1Service satisfies Child;
}
