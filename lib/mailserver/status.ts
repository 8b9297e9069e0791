/** The status of a MailServer: what the operator has seen. Times are RFC 3339 text, ages seconds. */
import * as z from 'zod';

export const CONDITIONS = ['Ready', 'Progressing', 'Degraded', 'ConfigValid', 'QueueHealthy', 'Warning'] as const;
export type ConditionType = (typeof CONDITIONS)[number];

const condition = z.object({
  type: z.string().max(64),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().meta({ format: 'int64' }),
  lastTransitionTime: z.string().meta({ format: 'date-time' }),
  reason: z.string().max(128),
  message: z.string().max(32_768),
});

const count = z.int().meta({ format: 'int64' });

export const statusSchema = z
  .object({
    observedGeneration: count.optional(),
    hostname: z.string().max(253).optional(),
    conditions: z
      .array(condition)
      .max(20)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
      .optional(),
    services: z
      .array(
        z.object({
          name: z.string().max(63),
          daemon: z.string().max(63),
          deployment: z.string().max(253),
          desired: z.int(),
          replicas: z.int(),
          ready: z.int(),
          updated: z.int(),
        }),
      )
      .max(200)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .optional(),
    queue: z
      .object({
        messages: count,
        active: count,
        deferred: count,
        hold: count.optional(),
        incoming: count,
        corrupt: count,
        oldestSeconds: count,
      })
      .meta({ description: 'Recipients in the queue by state, and frames of the log that nobody has read.' })
      .optional(),
    durability: z
      .object({
        log: z.enum(['fsync', 'weak', 'unknown']),
        servers: z.int(),
        replicas: z.int(),
        postgres: z.enum(['synchronous', 'asynchronous', 'unknown']),
      })
      .optional(),
    configuration: z
      .object({
        hash: z.string().max(64).meta({ description: 'Of the configuration in force.' }),
        problems: z.array(z.string().max(2048)).max(50).optional(),
      })
      .optional(),
    flushed: z
      .string()
      .max(256)
      .optional()
      .meta({ description: 'Value of the last flush annotation that was obeyed.' }),
    addresses: z.array(z.string().max(253)).max(50).optional().meta({ description: 'Where clients reach it.' }),
  })
  .meta({ description: 'What the operator has seen.' });

export type MailServerStatus = z.output<typeof statusSchema>;
export type Condition = z.output<typeof condition>;
export type ServiceStatus = NonNullable<MailServerStatus['services']>[number];
