/**
 * All children of a MailServer, in groups that are applied one after another: what pods need to start, the migration, and the
 * processes with what belongs to each. Pure.
 */
import type { FleetProcess } from '../../lib/mailserver/fleet.ts';
import { autoscaler } from './autoscaler.ts';
import { configMap } from './config-map.ts';
import { deployment } from './deployment.ts';
import { disruptionBudget } from './disruption-budget.ts';
import { headlessService } from './headless-service.ts';
import { answersCalls, type Child, type PlanInput } from './input.ts';
import { mailClaim } from './mail-claim.ts';
import { migrationJob } from './migration-job.ts';
import { networkPolicy } from './network-policy.ts';
import { ingressService } from './service.ts';
import { serviceAccount } from './service-account.ts';
import { tableSecret } from './table-secret.ts';

export interface ProcessPlan {
  readonly process: FleetProcess;
  readonly deployment: Child;
  /** Applied with the Deployment, without waiting for its turn. */
  readonly others: readonly Child[];
}

export interface Plan {
  /** What changes without a restart, and what pods refer to. */
  readonly shared: readonly Child[];
  readonly migration: Child;
  /** In the order in which a change is rolled out: who is called before who calls, who takes mail in last. */
  readonly processes: readonly ProcessPlan[];
}

const present = <T>(item: T | undefined): item is T => item !== undefined;

const rank = ({ services }: FleetProcess): number =>
  services.some(({ daemon }) => daemon.kind === 'inet')
    ? 2
    : services.some(({ daemon }) => daemon.kind === 'queue')
      ? 1
      : 0;

export function plan(input: PlanInput): Plan {
  const { processes } = input.checked.fleet;
  return {
    shared: [
      serviceAccount(input),
      configMap(input),
      tableSecret(input),
      mailClaim(input),
      ingressService(input),
    ].filter(present),
    migration: migrationJob(input),
    processes: [...processes]
      .sort((a, b) => rank(a) - rank(b))
      .map((process) => ({
        process,
        deployment: deployment(input, process),
        others: [
          ...(answersCalls(process)
            ? process.services
                .filter(({ daemon }) => daemon.kind === 'calls')
                .map((service) => headlessService(input, process, service))
            : []),
          disruptionBudget(input, process),
          autoscaler(input, process),
          networkPolicy(input, process),
        ].filter(present),
      })),
  };
}

/** Every child that a MailServer is to have; others with its label are left over from an earlier spec. */
export function allChildren({ shared, migration, processes }: Plan): Child[] {
  return [...shared, migration, ...processes.flatMap(({ deployment: own, others }) => [own, ...others])];
}
