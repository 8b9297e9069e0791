/**
 * The volume of the mailboxes, where the MailServer does not bring its own. It has no owner reference: what becomes of it is
 * decided by deletionPolicy, and a garbage collector must not.
 */
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { MailServerSpec } from '../../lib/mailserver/schema.ts';
import { type Child, childName, labels, type Owner, type PlanInput } from './input.ts';

export function claimName(owner: Owner, { mailStorage }: MailServerSpec): string {
  return mailStorage?.claimName ?? childName(owner, 'mail');
}

export function mailClaim({ owner, checked }: PlanInput): Child | undefined {
  const { mailStorage } = checked.spec;
  if (mailStorage?.size === undefined) return undefined;
  const { size, storageClassName, accessModes } = mailStorage;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: claimName(owner, checked.spec), namespace: owner.namespace, labels: labels(owner) },
    spec: {
      accessModes,
      resources: { requests: { storage: size } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  } satisfies V1PersistentVolumeClaim satisfies Child;
}
