/**
 * The MailServer resource, `postfleet.dev/v1alpha1`: one schema that the CRD, the operator, `postfleet check -f` and the values
 * of the chart are made from. Every list, map and text is bounded. Rules that span fields are written in CEL (withRules),
 * so that the API server itself refuses what breaks them; what CEL cannot see is found by check.ts.
 *
 * Names of main.cf and master.cf are Postfix's own: see postconf(5), master(5), docs/master-cf.md.
 */
import * as z from 'zod';
import { keyOf, listPassedOn, objectName, passedOn, type Rule, resources, ruled } from './kubernetes-parts.ts';
import { statusSchema } from './status.ts';

export const GROUP = 'postfleet.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'MailServer';
export const PLURAL = 'mailservers';

/** Names of services are part of names of Kubernetes Services, which are DNS labels. */
export const SERVICE_NAME = /^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$/;
export const MAXIMUM_NAME = 30;
/** Names of MailServers: names of children begin with them. */
const OBJECT_NAME = `^[a-z]([-a-z0-9]{0,${MAXIMUM_NAME - 2}}[a-z0-9])?$`;
/** Octets of what a ConfigMap has to hold besides the files of tables. */
const TEXT_LIMIT = 65_536;
export const TABLE_LIMIT = 524_288;

const flag = (meaning: string) =>
  z
    .enum(['y', 'n', '-'])
    .optional()
    .meta({ description: `${meaning} y, n or - for the default.` });

const masterEntry = z
  .object({
    service: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[^\s{}=,]+$/)
      .meta({ description: 'Service name: [host:]port for inet, else the name under which services call each other.' }),
    type: z.enum(['inet', 'unix', 'fifo', 'pass', 'unix-dgram']).meta({ description: 'Service type.' }),
    enabled: z.boolean().default(true).meta({ description: 'false takes an entry of the built-in master.cf out.' }),
    private: flag('Whether only pods of this MailServer may call it.'),
    unpriv: flag('No effect: every service runs unprivileged.'),
    chroot: flag('No effect: every root file system is read-only.'),
    wakeup: z
      .string()
      .max(10)
      .regex(/^([0-9]{1,9}\??|-|\?)$/)
      .optional()
      .meta({ description: 'Seconds between wake-ups.' }),
    maxproc: z
      .string()
      .max(9)
      .regex(/^([0-9]{1,9}|-)$/)
      .optional()
      .meta({ description: 'Sessions or deliveries at once in each replica; 0 for no limit.' }),
    command: z
      .string()
      .max(63)
      .regex(/^[a-z0-9-]+$/)
      .optional()
      .meta({ description: 'Daemon: smtpd, smtp, pipe and so on. Left out: that of the built-in entry of this name.' }),
    options: z
      .record(z.string(), z.string().max(TEXT_LIMIT))
      .meta({
        maxProperties: 200,
        description: 'Settings for this service alone: what -o name=value says in a master.cf.',
      })
      .optional(),
    args: z
      .array(z.string().max(1024))
      .max(100)
      .meta({ description: 'Further arguments, one a line; one with blanks is put in braces.' })
      .optional(),
  })
  .meta({ description: 'One entry of master.cf. A column that is left out is that of the built-in entry, else "-".' });

const table = ruled(
  z.object({
    format: z.enum(['postmap', 'aliases', 'file']).default('postmap').meta({
      description:
        'postmap, aliases: rows in Postgres, for hash: btree: lmdb: cdb: dbm: sdbm:. file: mounted as it is, for regexp: pcre: cidr: texthash:.',
    }),
    inline: z.string().max(TABLE_LIMIT).optional().meta({ description: 'The source itself.' }),
    configMap: keyOf('ConfigMap').optional(),
    secret: keyOf('Secret').optional(),
  }),
  'A lookup table; main.cf names it by its file name in /etc/postfix.',
  {
    rule: '[has(self.inline), has(self.configMap), has(self.secret)].exists_one(given, given)',
    message: 'give exactly one of inline, configMap and secret',
    holds: ({ inline, configMap, secret }) =>
      [inline, configMap, secret].filter((one) => one !== undefined).length === 1,
  },
);

const autoscaling = ruled(
  z.object({
    minReplicas: z.int().min(1).max(1000).default(1),
    maxReplicas: z.int().min(1).max(1000),
    targetCPUUtilizationPercentage: z.int().min(1).max(1000).default(80),
    behavior: passedOn('behavior of a HorizontalPodAutoscaler.').optional(),
  }),
  'Lets a HorizontalPodAutoscaler choose the number of replicas by CPU.',
  {
    rule: 'self.minReplicas <= self.maxReplicas',
    message: 'minReplicas must not be more than maxReplicas',
    holds: ({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas,
  },
);

const placement = z
  .object({
    with: z
      .string()
      .max(MAXIMUM_NAME)
      .regex(SERVICE_NAME)
      .optional()
      .meta({ description: 'Run in the process of this other service; both share its pods and replicas.' }),
    nodeSelector: z.record(z.string(), z.string().max(253)).meta({ maxProperties: 50 }).optional(),
    tolerations: listPassedOn('tolerations of the pods.').optional(),
    affinity: passedOn('affinity of the pods.').optional(),
    topologySpreadConstraints: listPassedOn(
      'In place of the default, which spreads replicas over nodes and zones.',
    ).optional(),
    priorityClassName: objectName('priorityClassName of the pods.').optional(),
  })
  .meta({ description: 'Where the service runs.' });

const service = ruled(
  z.object({
    replicas: z.int().min(0).max(1000).optional().meta({ description: 'Number of pods; default: spec.replicas.' }),
    autoscaling: autoscaling.optional(),
    resources: resources.optional(),
    placement: placement.optional(),
    terminationGracePeriodSeconds: z.int().min(5).max(86_400).optional().meta({
      description: 'How long sessions and deliveries may take to finish when a pod is told to end.',
    }),
    extraEnv: listPassedOn('Further environment variables of the container.', 100).optional(),
    extraVolumes: listPassedOn('Further volumes of the pod.').optional(),
    extraVolumeMounts: listPassedOn('Further volume mounts of the container.').optional(),
    podTemplate: passedOn(
      'Laid over the pod template: objects are merged, lists of named things by name, other lists replaced.',
    ).optional(),
  }),
  'How one service of master.cf runs.',
  {
    rule: '!(has(self.autoscaling) && has(self.replicas))',
    message: 'give either replicas or autoscaling',
    holds: ({ autoscaling, replicas }) => autoscaling === undefined || replicas === undefined,
  },
);

const ingressPort = z.object({
  service: z.string().min(1).max(63).meta({ description: 'Name of an inet entry of master.cf: smtp, submission …' }),
  port: z.int().min(1).max(65_535).meta({ description: 'Port of the Service.' }),
  nodePort: z.int().min(1).max(65_535).optional(),
});

const ingress = z
  .object({
    type: z
      .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
      .default('ClusterIP')
      .meta({ description: 'Type of the Service.' }),
    ports: z
      .array(ingressPort)
      .max(50)
      .optional()
      .meta({
        description: 'Ports of the Service; default: every inet entry of master.cf at its own port.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['port'],
      }),
    proxyProtocol: z
      .boolean()
      .default(false)
      .meta({ description: 'The load balancer sends the PROXY protocol: clients keep their addresses.' }),
    trafficPolicy: z.enum(['Local', 'Cluster']).default('Local').meta({
      description: 'externalTrafficPolicy: with Cluster, nodes put their own address in place of the client’s.',
    }),
    annotations: z.record(z.string(), z.string().max(4096)).meta({ maxProperties: 100 }).optional(),
    loadBalancerClass: z.string().max(253).optional(),
    loadBalancerIP: z.string().max(64).optional(),
    loadBalancerSourceRanges: z.array(z.string().max(64)).max(200).optional(),
  })
  .meta({ description: 'How clients reach the inet entries of master.cf.' });

/** Where a store is: an address, or a Secret that holds it. */
const oneAddress: Rule<{ readonly url?: string | undefined; readonly secretRef?: unknown }> = {
  rule: 'has(self.url) != has(self.secretRef)',
  message: 'give exactly one of url and secretRef',
  holds: ({ url, secretRef }) => (url === undefined) !== (secretRef === undefined),
};

const nats = ruled(
  z.object({
    url: z.string().min(1).max(2048).optional().meta({ description: 'nats://host:port, several separated by commas.' }),
    secretRef: keyOf('Secret', 'url').optional(),
    monitorUrl: z
      .string()
      .max(2048)
      .regex(/^https?:\/\//)
      .optional()
      .meta({
        description: 'Monitoring port (http://host:8222): the only place that shows whether every write is synced.',
      }),
    replicas: z
      .union([z.literal(1), z.literal(3), z.literal(5)])
      .optional()
      .meta({ description: 'Copies of each stream; default: 3 where there are three servers or more, else 1.' }),
    shards: z
      .int()
      .min(1)
      .max(64)
      .default(4)
      .meta({
        description: 'Number of shards of the queue; fixed when it is made.',
        'x-kubernetes-validations': [
          { rule: 'self == oldSelf', message: 'the number of shards is fixed when the queue is made' },
        ],
      }),
    streamBytes: z
      .int()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .default(0)
      .meta({ description: 'Bound of each incoming log in octets; 0 for none but the disk.', format: 'int64' }),
  }),
  'The NATS servers with JetStream that keep the mail. Each MailServer needs an account of its own.',
  oneAddress,
);

const postgres = ruled(
  z.object({
    url: z
      .string()
      .min(1)
      .max(2048)
      .optional()
      .meta({ description: 'postgres://user@host/database, without a password.' }),
    secretRef: keyOf('Secret', 'uri').optional(),
  }),
  'The Postgres database of the queue’s metadata and the lookup tables. Each MailServer needs one of its own.',
  oneAddress,
);

const mailStorage = ruled(
  z.object({
    claimName: objectName('An existing PersistentVolumeClaim.').optional(),
    size: z
      .string()
      .max(30)
      .regex(/^[0-9]+(\.[0-9]+)?([KMGTPE]i?|m)?$/)
      .optional()
      .meta({ description: 'Size of a claim that the operator makes, such as 10Gi.' }),
    storageClassName: z.string().max(253).optional(),
    accessModes: z
      .array(z.enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany']))
      .min(1)
      .max(3)
      .default(['ReadWriteOnce'])
      .meta({ 'x-kubernetes-list-type': 'set' }),
  }),
  'Where local and virtual keep mailboxes: mounted at /var/mail, written as one user.',
  {
    rule: 'has(self.claimName) != has(self.size)',
    message: 'give exactly one of claimName and size',
    holds: ({ claimName, size }) => (claimName === undefined) !== (size === undefined),
  },
  {
    rule: '!has(oldSelf.storageClassName) || (has(self.storageClassName) && self.storageClassName == oldSelf.storageClassName)',
    message: 'storageClassName of a claim cannot change',
  },
);

/** Parameters that have a field of their own, and that main.cf must therefore not set. */
export const PARAMETERS_OF_FIELDS: Readonly<Record<string, string>> = {
  postfleet_nats_url: 'spec.nats.url or spec.nats.secretRef',
  postfleet_nats_monitor_url: 'spec.nats.monitorUrl',
  postfleet_postgres_url: 'spec.postgres',
  postfleet_shards: 'spec.nats.shards',
  postfleet_replicas: 'spec.nats.replicas',
  postfleet_stream_bytes: 'spec.nats.streamBytes',
  postfleet_weak_durability: 'spec.durability.allowWeak',
};

/** Parameters that the operator sets for every pod. */
export const PARAMETERS_OF_OPERATOR = [
  'postfleet_http_listen',
  'postfleet_port_map',
  'postfleet_rpc_address',
  'postfleet_rpc_listen',
  'postfleet_rpc_tls_directory',
  'postfleet_rpc_token_file',
  'postfleet_shutdown_grace',
  'postfleet_watch_configuration',
] as const;

const notSet = (name: string, by: string): Rule<Record<string, string>> => ({
  rule: `!('${name}' in self)`,
  message: `${name} is set by ${by}`,
  holds: (mainCf) => mainCf[name] === undefined,
});

const mainCf = ruled(
  z.record(z.string(), z.string().max(TEXT_LIMIT)).meta({ maxProperties: 1000 }),
  'Parameters of main.cf and their values.',
  {
    rule: "'myhostname' in self",
    message: 'set myhostname: pods have no name that a mail server could be known by',
    holds: ({ myhostname }) => myhostname !== undefined,
  },
  ...Object.entries(PARAMETERS_OF_FIELDS).map(([name, field]) => notSet(name, field)),
  ...PARAMETERS_OF_OPERATOR.map((name) => notSet(name, 'the operator')),
);

export const specSchema = z
  .object({
    image: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .meta({ description: 'Image of the services; default: that of the operator’s own version.' }),
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
    imagePullSecrets: z
      .array(z.object({ name: objectName('Name of the Secret.') }))
      .max(20)
      .optional(),
    replicas: z.int().min(0).max(1000).default(2).meta({
      description:
        'Pods of each service that says nothing else. local and virtual have one unless the mail storage is ReadWriteMany.',
    }),
    mainCf,
    masterCf: z
      .array(masterEntry)
      .max(100)
      .optional()
      .meta({
        description: 'Entries of master.cf, laid over the built-in ones by service and type.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['service', 'type'],
      }),
    tables: z
      .record(z.string(), table)
      .meta({ maxProperties: 100, description: 'Lookup tables by file name.' })
      .optional(),
    services: z
      .record(z.string(), service)
      .meta({ maxProperties: 100, description: 'How services run, by their names; see docs/kubernetes.md.' })
      .optional(),
    ingress: ingress.prefault({}),
    nats,
    postgres,
    mailStorage: mailStorage.optional(),
    networkPolicy: z
      .object({ enabled: z.boolean().default(true) })
      .meta({ description: 'Network policies from the column private of master.cf.' })
      .prefault({}),
    durability: z
      .object({ allowWeak: z.boolean().default(false) })
      .meta({ description: 'allowWeak: accept mail although the log does not promise to be on disk.' })
      .prefault({}),
    deletionPolicy: z.enum(['Retain', 'Delete']).default('Retain').meta({
      description: 'What becomes of the mail when the MailServer is deleted: streams, tables and mailboxes stay or go.',
    }),
    tls: passedOn('Reserved for certificates of the SMTP ports.').optional(),
  })
  .meta({ description: 'What the mail server is to be.' });

export const mailServerSchema = ruled(
  z.object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: z.looseObject({}),
    spec: specSchema,
    status: statusSchema.optional(),
  }),
  'A mail server: Postfix taken apart into services that scale.',
  {
    rule: `self.metadata.name.matches('${OBJECT_NAME}')`,
    message: `the name must be a DNS label that begins with a letter, of at most ${MAXIMUM_NAME} characters`,
    holds: ({ metadata: { name } }) => typeof name === 'string' && new RegExp(OBJECT_NAME).test(name),
  },
);

export type MailServerSpec = z.output<typeof specSchema>;
export type MailServerSpecInput = z.input<typeof specSchema>;
export type MasterCfEntry = z.output<typeof masterEntry>;
export type ServiceSpec = z.output<typeof service>;
export type TableSpec = z.output<typeof table>;
export type IngressSpec = z.output<typeof ingress>;
