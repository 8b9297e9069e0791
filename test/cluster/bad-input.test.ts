/**
 * Wrong MailServers. What the schema and its rules can see, the API server refuses; everything else is reported in the status
 * of the object: ConfigValid is False, or Warning is True where mail flows all the same. Each message names the field, and for
 * what stands in main.cf and master.cf the line as well.
 *
 * The definition itself says which rules there are: one that no row of the table breaks fails the scenario.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from './kubectl.ts';
import { assertQuietOperator } from './operator-log.ts';
import { OwnNamespace } from './own-namespace.ts';
import { step, withTroubles } from './troubles.ts';

const own = new OwnNamespace('postfleet-bad-input');
const { kubectl } = own;

interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

/** Fields of a spec, wrong ones too. */
interface Spec {
  readonly mainCf?: object;
  readonly [field: string]: unknown;
}

/** A MailServer without mistakes, but for those of `spec`. There are no stores behind it: the spec is judged before them. */
function mailServer(name: string, { mainCf = {}, ...spec }: Spec): Resource {
  return {
    apiVersion: 'postfleet.dev/v1alpha1',
    kind: 'MailServer',
    metadata: { name },
    spec: {
      mainCf: { myhostname: 'mail.example.test', mydestination: '', ...mainCf },
      // Each has stores of its own, as it must.
      nats: { secretRef: { name: `${name}-nats` } },
      postgres: { secretRef: { name: `${name}-postgres` } },
      ...spec,
    },
  };
}

const main = (mainCf: object): Spec => ({ mainCf });
const entry = (given: object): Spec => ({ masterCf: [given] });
const url = 'nats://nats:4222';

type Row = readonly [situation: string, spec: Spec, names: RegExp, name?: string];

/** Parameters that are set by a field or by the operator, and what the message says of them. */
const TAKEN = {
  postfleet_nats_url: 'spec.nats.url or spec.nats.secretRef',
  postfleet_nats_monitor_url: 'spec.nats.monitorUrl',
  postfleet_postgres_url: 'spec.postgres',
  postfleet_shards: 'spec.nats.shards',
  postfleet_replicas: 'spec.nats.replicas',
  postfleet_stream_bytes: 'spec.nats.streamBytes',
  postfleet_weak_durability: 'spec.durability.allowWeak',
  postfleet_http_listen: 'the operator',
  postfleet_port_map: 'the operator',
  postfleet_rpc_address: 'the operator',
  postfleet_rpc_listen: 'the operator',
  postfleet_rpc_tls_directory: 'the operator',
  postfleet_rpc_token_file: 'the operator',
  postfleet_shutdown_grace: 'the operator',
  postfleet_watch_configuration: 'the operator',
};

const refused: readonly Row[] = [
  ...Object.entries(TAKEN).map(
    ([name, by]): Row => [
      `${name} in main.cf`,
      main({ [name]: '1' }),
      new RegExp(`spec\\.mainCf: .*${name} is set by ${by}`),
    ],
  ),
  ['no myhostname', main({ myhostname: undefined }), /spec\.mainCf: .*set myhostname/],
  ['a parameter that is no text', main({ smtpd_timeout: 300 }), /spec\.mainCf\.smtpd_timeout: .*must be .*string/],
  ['a parameter longer than 64 KiB', main({ mynetworks: 'x'.repeat(65_537) }), /spec\.mainCf\.mynetworks: Too long/],
  ['a field that there is not', { maincf: {} }, /unknown field "spec\.maincf"/],
  ['two addresses of NATS', { nats: { url, secretRef: { name: 'x' } } }, /spec\.nats: .*give exactly one of url/],
  ['no address of NATS', { nats: {} }, /spec\.nats: .*give exactly one of url/],
  ['no NATS', { nats: undefined }, /spec\.nats: Required/],
  ['no address of Postgres', { postgres: {} }, /spec\.postgres: .*give exactly one of url/],
  ['no Postgres', { postgres: undefined }, /spec\.postgres: Required/],
  ['no shard', { nats: { url, shards: 0 } }, /spec\.nats\.shards: .*greater than or equal to 1/],
  ['too many shards', { nats: { url, shards: 65 } }, /spec\.nats\.shards: .*less than or equal to 64/],
  ['two copies of a stream', { nats: { url, replicas: 2 } }, /spec\.nats\.replicas: Unsupported value: 2/],
  ['a monitor that is no URL', { nats: { url, monitorUrl: 'nats:8222' } }, /spec\.nats\.monitorUrl: /],
  ['a Secret without a name', { nats: { secretRef: { key: 'url' } } }, /spec\.nats\.secretRef\.name: Required/],
  ['a name that begins with a digit', {}, /the name must be a DNS label that begins with a letter/, '1mail'],
  ['a name that is too long', {}, /the name must be a DNS label/, 'm'.repeat(31)],
  ['a name with capitals', {}, /metadata\.name: /, 'Mail'],
  ['fewer than no replicas', { replicas: -1 }, /spec\.replicas: .*greater than or equal to 0/],
  ['a pull policy that there is not', { imagePullPolicy: 'Sometimes' }, /spec\.imagePullPolicy: Unsupported value/],
  ['a deletion policy that there is not', { deletionPolicy: 'Keep' }, /spec\.deletionPolicy: Unsupported value/],
  ['an entry without a type', entry({ service: 'new' }), /spec\.masterCf\[0\]\.type: Required/],
  ['a type that there is not', entry({ service: 'new', type: 'tcp' }), /spec\.masterCf\[0\]\.type: Unsupported value/],
  ['a column that is neither', entry({ service: 'a', type: 'unix', private: 'yes' }), /masterCf\[0\]\.private: /],
  ['a process limit without sense', entry({ service: 'a', type: 'unix', maxproc: 'all' }), /masterCf\[0\]\.maxproc: /],
  ['a wake-up without sense', entry({ service: 'a', type: 'unix', wakeup: 'soon' }), /masterCf\[0\]\.wakeup: /],
  ['a command with a path', entry({ service: 'a', type: 'unix', command: '/bin/sh' }), /masterCf\[0\]\.command: /],
  ['a service name with a blank', entry({ service: 'a b', type: 'unix' }), /spec\.masterCf\[0\]\.service: /],
  [
    'one entry twice',
    { masterCf: [1, 2].map(() => ({ service: 'smtp', type: 'inet' })) },
    /spec\.masterCf\[1\]: Duplicate value|duplicate entries for key/,
  ],
  [
    'a table with two sources',
    { tables: { virtual: { inline: 'a b', secret: { name: 'x', key: 'y' } } } },
    /spec\.tables\[virtual\]: .*give exactly one of inline/,
  ],
  ['a table without a source', { tables: { virtual: {} } }, /spec\.tables\[virtual\]: .*give exactly one of inline/],
  ['a table of no format', { tables: { a: { format: 'csv', inline: '' } } }, /spec\.tables\.a\.format: Unsupported/],
  [
    'replicas beside an autoscaler',
    { services: { smtpd: { replicas: 1, autoscaling: { maxReplicas: 3 } } } },
    /spec\.services\[smtpd\]: .*give either replicas or autoscaling/,
  ],
  [
    'an autoscaler from more to less',
    { services: { smtpd: { autoscaling: { minReplicas: 4, maxReplicas: 3 } } } },
    /spec\.services\[smtpd\]\.autoscaling: .*minReplicas must not be more than maxReplicas/,
  ],
  [
    'an autoscaler without an end',
    { services: { smtpd: { autoscaling: {} } } },
    /spec\.services\.smtpd\.autoscaling\.maxReplicas: Required/,
  ],
  [
    'a grace that is too short',
    { services: { smtpd: { terminationGracePeriodSeconds: 1 } } },
    /spec\.services\.smtpd\.terminationGracePeriodSeconds: /,
  ],
  [
    'a port that there is not',
    { ingress: { ports: [{ service: 'smtp', port: 70_000 }] } },
    /ingress\.ports\[0\]\.port/,
  ],
  ['a kind of Service that there is not', { ingress: { type: 'Ingress' } }, /spec\.ingress\.type: Unsupported value/],
  ['a traffic policy that there is not', { ingress: { trafficPolicy: 'Any' } }, /spec\.ingress\.trafficPolicy: /],
  ['storage of two kinds', { mailStorage: { claimName: 'x', size: '1Gi' } }, /spec\.mailStorage: .*give exactly one/],
  ['storage of no kind', { mailStorage: {} }, /spec\.mailStorage: .*give exactly one of claimName and size/],
  ['storage of no size', { mailStorage: { size: 'much' } }, /spec\.mailStorage\.size: /],
  [
    'an access mode twice',
    { mailStorage: { size: '1Gi', accessModes: Array(2).fill('ReadWriteOnce') } },
    /accessModes/,
  ],
];

/** What may not change; the object that is there is correct. */
const FIXED = mailServer('fixed', { mailStorage: { size: '1Gi', storageClassName: 'one' } });
const refusedLater: readonly Row[] = [
  [
    'another number of shards',
    { ...FIXED.spec, nats: { secretRef: { name: 'fixed-nats' }, shards: 8 } },
    /spec\.nats\.shards: .*fixed when the queue is made/,
  ],
  [
    'another class of storage',
    { ...FIXED.spec, mailStorage: { size: '1Gi', storageClassName: 'two' } },
    /spec\.mailStorage: .*storageClassName of a claim cannot change/,
  ],
];

/** A message about a parameter: the field, main.cf with the line, and what is wrong. */
const at = (name: string, text = ''): RegExp =>
  new RegExp(`^spec\\.mainCf\\.${name}: main\\.cf, line \\d+: .*${text}`, 'm');
const cluster = (ingress: object): Spec => ({
  ...main({ mynetworks: '127.0.0.0/8 10.244.0.0/24' }),
  ingress: { trafficPolicy: 'Cluster', ...ingress },
});

const reported: readonly Row[] = [
  ['a time without sense', main({ smtpd_timeout: '3q' }), at('smtpd_timeout', 'expected a whole number with unit')],
  [
    'a number that is none',
    main({ default_process_limit: 'many' }),
    at('default_process_limit', 'whole number from 1'),
  ],
  ['a number out of range', main({ smtpd_recipient_limit: '0' }), at('smtpd_recipient_limit', 'number from 1')],
  ['a size that is none', main({ message_size_limit: '10M' }), at('message_size_limit', 'expected a whole number')],
  [
    'a reply code of another class',
    main({ unknown_client_reject_code: '250' }),
    at('unknown_client_reject_code', '400'),
  ],
  [
    'yes or no that is neither',
    main({ smtpd_helo_required: 'maybe' }),
    at('smtpd_helo_required', 'expected yes or no'),
  ],
  [
    'a limit of one transport without sense',
    main({ smtp_destination_concurrency_limit: 'x' }),
    at('smtp_destination_concurrency_limit', 'expected a whole number'),
  ],
  [
    'a delay of a transport of one’s own without sense',
    {
      ...main({ slow_destination_rate_delay: 'long' }),
      ...entry({ service: 'slow', type: 'unix', command: 'smtp' }),
    },
    at('slow_destination_rate_delay', 'expected a whole number with unit'),
  ],
  ['an expression that does not close', main({ smtpd_banner: '${mail_name' }), at('smtpd_banner', 'truncated macro')],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: an expression of main.cf
  ['a comparison that there is not', main({ smtpd_banner: '${{a} <> {b}?c}' }), at('smtpd_banner', 'expected at')],
  [
    'parameters that name each other',
    main({ mydomain: '$myorigin', myorigin: '$mydomain' }),
    at('mydomain', 'nesting'),
  ],
  ['a level that is none', main({ compatibility_level: 'latest' }), at('compatibility_level', 'expected a level')],
  [
    'a parameter name with a blank',
    main({ 'smtpd timeout': '3s' }),
    /^spec\.mainCf\.smtpd timeout: .*a parameter name/m,
  ],
  ['a parameter name with a line break', main({ 'a\nb': '3s' }), /expected a parameter name/],
  [
    'a table that is read and not given',
    main({ virtual_alias_maps: 'hash:/etc/postfix/virtual' }),
    /^spec\.mainCf\.virtual_alias_maps: hash:\/etc\/postfix\/virtual: there is no spec\.tables\.virtual/m,
  ],
  [
    'a table of a type that there is not',
    main({ virtual_alias_maps: 'hsah:/etc/postfix/virtual' }),
    /^spec\.mainCf\.virtual_alias_maps: hsah:\/etc\/postfix\/virtual: unsupported dictionary type: hsah/m,
  ],
  [
    'rows where a file is read',
    { ...main({ header_checks: 'regexp:/etc/postfix/checks' }), tables: { checks: { inline: '/x/ DUNNO' } } },
    /^spec\.tables\.checks\.format: header_checks reads it as regexp: expected file/m,
  ],
  [
    'a file where rows are read',
    { ...main({ virtual_alias_maps: 'hash:/etc/postfix/a' }), tables: { a: { format: 'file', inline: 'a b' } } },
    /^spec\.tables\.a\.format: virtual_alias_maps reads it as hash: expected postmap or aliases/m,
  ],
  [
    'a table by the name of main.cf',
    { tables: { 'main.cf': { inline: '' } } },
    /^spec\.tables\.main\.cf: expected a file/m,
  ],
  [
    'a table whose name leads elsewhere',
    { tables: { '../a': { inline: '' } } },
    /^spec\.tables\.\.\.\/a: expected a file/m,
  ],
  [
    'an entry without a command',
    entry({ service: 'a', type: 'unix' }),
    /^spec\.masterCf\[0\] \(a\/unix\): command is/m,
  ],
  [
    'an entry taken out that was never there',
    entry({ service: 'a', type: 'unix', enabled: false }),
    /^spec\.masterCf\[0\] \(a\/unix\): enabled is false/m,
  ],
  [
    'a setting of one entry without sense',
    entry({ service: 'smtp', type: 'inet', options: { smtpd_timeout: 'soon' } }),
    /^spec\.masterCf\[0\] \(smtp\/inet\): master\.cf, line 1: -o smtpd_timeout=soon/m,
  ],
  [
    'an inet entry with an address',
    entry({ service: '127.0.0.1:10025', type: 'inet', command: 'smtpd' }),
    /^spec\.masterCf\[0\] .*expected a port number/m,
  ],
  [
    'a server that is called by name',
    entry({ service: 'smtpd', type: 'unix', command: 'smtpd' }),
    /^spec\.masterCf\[0\] .*smtpd listens for clients/m,
  ],
  [
    'a transport whose name is no DNS name',
    entry({ service: 'To_Amavis', type: 'unix', command: 'smtp' }),
    /^spec\.masterCf\[0\] .*becomes a DNS name/m,
  ],
  [
    'a service that there is not',
    { services: { nosuch: {} } },
    /^spec\.services\.nosuch: master\.cf has no such service/m,
  ],
  [
    'a service that is placed with itself',
    { services: { smtp: { placement: { with: 'smtp' } } } },
    /^spec\.services\.smtp\.placement\.with: "smtp": expected another service/m,
  ],
  [
    'a service that is placed with a guest',
    { services: { anvil: { placement: { with: 'trace' } } } },
    /^spec\.services\.anvil\.placement\.with: "trace" is itself placed/m,
  ],
  [
    'a port of a service that does not listen',
    { ingress: { ports: [{ service: 'submission', port: 587 }] } },
    /^spec\.ingress\.ports\[port=587\]\.service: "submission": master\.cf has no such inet entry/m,
  ],
  [
    'an open relay behind a load balancer',
    cluster({ type: 'LoadBalancer' }),
    /^spec\.mainCf\.mynetworks: open relay: /m,
  ],
  ['an open relay behind node ports', cluster({ type: 'NodePort' }), /^spec\.mainCf\.mynetworks: open relay: /m],
  [
    'the stores of another MailServer',
    { nats: { secretRef: { name: 'fixed-nats' } } },
    /^spec\.nats: the MailServer postfleet-bad-input\/fixed has its queue there/m,
  ],
];

/** Mail flows all the same; the condition Warning says what is remarkable. */
const remarked: readonly Row[] = [
  ['a misspelt parameter', main({ smtpd_tiemout: '3s' }), at('smtpd_tiemout', 'unused parameter')],
  ['a reference to nothing', main({ smtpd_banner: '$nobody' }), at('smtpd_banner', 'undefined parameter: nobody')],
  ['a parameter that is going away', main({ smtp_enforce_tls: 'yes' }), at('smtp_enforce_tls', 'will be removed')],
  [
    'a daemon that there is not',
    entry({ service: 'a', type: 'unix', command: 'nosuchd' }),
    /^spec\.masterCf\[0\] \(a\/unix\): there is no daemon "nosuchd"/m,
  ],
  ['mailboxes without storage', main({ mydestination: '$myhostname' }), /^spec\.mailStorage: main\.cf delivers to/m],
];

/** What the API server says of it; undefined where it would take it. */
async function refusal(resource: Resource): Promise<string | undefined> {
  const args = ['apply', '--dry-run=server', '-f', '-'];
  try {
    await kubectl.run(args, JSON.stringify(resource));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
}

async function conditions(): Promise<Map<string, readonly Condition[]>> {
  const { items } = JSON.parse(await kubectl.run(['get', 'mailservers', '--output', 'json'])) as {
    items: { metadata: { name: string }; status?: { conditions?: Condition[] } }[];
  };
  return new Map(items.map(({ metadata, status }) => [metadata.name, status?.conditions ?? []]));
}

interface Schema {
  readonly [key: string]: unknown;
}

/** Every rule of the definition: the field that it stands at, and its message. */
function rulesOf(schema: Schema, field = ''): { field: string; message: string }[] {
  return Object.entries(schema).flatMap(([key, value]) => {
    if (typeof value !== 'object' || value === null) return [];
    if (key === 'x-kubernetes-validations')
      return (value as { message: string }[]).map(({ message }) => ({ field, message }));
    if (key === 'properties') return Object.entries(value).flatMap(([name, inner]) => rulesOf(inner as Schema, name));
    return key === 'additionalProperties' || key === 'items' ? rulesOf(value as Schema, field) : [];
  });
}

async function rules(): Promise<{ field: string; message: string }[]> {
  const definition = JSON.parse(
    await kubectl.run(['get', 'customresourcedefinition', 'mailservers.postfleet.dev', '--output', 'json']),
  ) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
  return definition.spec.versions.flatMap(({ schema }) => rulesOf(schema.openAPIV3Schema));
}

before(async () => {
  await own.remove();
  await own.installOperator();
});
after(() => own.removeAfterwards());

test('a wrong MailServer is refused or reported, by field and line', (t) =>
  withTroubles(t, kubectl, async () => {
    const said: string[] = [];
    /** Tries each; fails with all that were taken, or refused without a name. */
    const assertRefused = async (rows: readonly Row[], make: (row: Row) => Resource): Promise<void> => {
      const wrong: string[] = [];
      for (const row of rows) {
        const [situation, , names] = row;
        const text = await refusal(make(row));
        if (text === undefined || !names.test(text)) wrong.push(`${situation}: ${text ?? 'taken'}, expected ${names}`);
        else said.push(text);
      }
      assert.deepEqual(wrong, []);
    };

    await step(t, 'one without mistakes is taken', async () => {
      await kubectl.run(['apply', '--server-side', '-f', '-'], JSON.stringify(FIXED));
      await until('ConfigValid', 60, async () =>
        ((await conditions()).get('fixed') ?? []).some(
          ({ type, status }) => type === 'ConfigValid' && status === 'True',
        ),
      );
    });

    await step(t, `the API server refuses ${refused.length}`, () =>
      assertRefused(refused, ([, spec, , name = 'wrong']) => mailServer(name, spec)),
    );

    await step(t, `the API server refuses ${refusedLater.length} changes`, () =>
      assertRefused(refusedLater, ([, spec]) => ({ ...FIXED, spec })),
    );

    await step(t, 'every rule of the definition has refused something', async () => {
      const all = await rules();
      assert.ok(all.length > 20, 'the definition has more rules than that');
      const never = all.filter(
        ({ field, message }) => !said.some((text) => text.includes(field) && text.includes(message)),
      );
      assert.deepEqual(never, []);
    });

    await step(
      t,
      `the status reports ${reported.length} mistakes and ${remarked.length} remarkable things`,
      async () => {
        const rows = [
          ...reported.map((row, number) => ({ row, name: `reported-${number}`, type: 'ConfigValid', status: 'False' })),
          ...remarked.map((row, number) => ({ row, name: `remarked-${number}`, type: 'Warning', status: 'True' })),
        ];
        const items = rows.map(({ row, name }) => mailServer(name, row[1]));
        await kubectl.run(
          ['apply', '--server-side', '-f', '-'],
          JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
        );
        await until('a status of each', 120, async () =>
          [...(await conditions()).values()].every((each) => each.some(({ type }) => type === 'ConfigValid')),
        );
        const found = await conditions();
        const wrong = rows.flatMap(({ row: [situation, , names], name, type, status }) => {
          const condition = (found.get(name) ?? []).find((each) => each.type === type);
          const message = condition?.message ?? '';
          return condition?.status === status && names.test(message)
            ? []
            : [`${situation}: ${type} ${condition?.status}: ${message}, expected ${names}`];
        });
        assert.deepEqual(wrong, []);
        t.diagnostic(
          `refused ${refused.length + refusedLater.length}, ConfigValid=False ${reported.length}, Warning=True ${remarked.length}`,
        );
      },
    );

    await step(t, 'the operator logged no error', () => assertQuietOperator(kubectl));
  }));
