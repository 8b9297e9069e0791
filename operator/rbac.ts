/**
 * What the operator may do, in one table: the rules of the chart are generated from it, and a test compares it with what the
 * operator asks for.
 */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const FOLLOW = ['get', 'list', 'watch'] as const;
/** Server-side apply is a patch, and a creation where there is nothing yet. */
const KEEP = [...FOLLOW, 'create', 'patch', 'delete'] as const;

const rule = (apiGroup: string, resources: readonly string[], verbs: readonly string[]): PolicyRule => ({
  apiGroups: [apiGroup],
  resources,
  verbs,
});

/** In every namespace with MailServers. */
export const NAMESPACED: readonly PolicyRule[] = [
  rule('postfleet.dev', ['mailservers'], [...FOLLOW, 'patch']),
  rule('postfleet.dev', ['mailservers/status', 'mailservers/finalizers'], ['get', 'patch', 'update']),
  rule('apps', ['deployments'], KEEP),
  rule('', ['services', 'configmaps', 'secrets', 'serviceaccounts', 'persistentvolumeclaims'], KEEP),
  // The annotation that makes a kubelet look at mounted files at once; the end of a pod that cannot start.
  rule('', ['pods'], [...FOLLOW, 'patch', 'delete']),
  rule('policy', ['poddisruptionbudgets'], KEEP),
  rule('autoscaling', ['horizontalpodautoscalers'], KEEP),
  rule('networking.k8s.io', ['networkpolicies'], KEEP),
  rule('batch', ['jobs'], KEEP),
  rule('events.k8s.io', ['events'], ['create', 'patch']),
];

/** In the operator's own namespace. */
export const OWN: readonly PolicyRule[] = [rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update'])];

/** Of the whole cluster; without it the rule against open relays knows the nodes that pods run on, and no others. */
export const CLUSTER: readonly PolicyRule[] = [rule('', ['nodes'], FOLLOW)];
