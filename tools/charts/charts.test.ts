import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { generatedFiles, resourceSchema } from './generated-files.ts';
import { readValueComments } from './value-comments.ts';
import { type Schema, valuesSchema } from './values-schema.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CHARTS = join(ROOT, 'charts');
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

for (const chart of ['postfleet', 'postfleet-operator']) {
  test(`schema and README of chart ${chart} are what its values give`, () => {
    for (const [name, text] of generatedFiles(CHARTS, chart)) {
      assert.equal(read(`charts/${chart}/${name}`), text, `${chart}/${name}: run "make charts-generate"`);
    }
  });

  test(`chart ${chart} has the version of the program`, () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const { appVersion } = parse(read(`charts/${chart}/Chart.yaml`)) as { appVersion: string };
    assert.equal(appVersion, version);
  });
}

/** Its place is kept for an issue of its own. */
const NOT_YET = ['tls'];

test('every field of a MailServer is a value of its chart', () => {
  const { properties } = resourceSchema(CHARTS) as { properties: { spec: { properties: Record<string, Schema> } } };
  const values = Object.keys(parse(read('charts/postfleet/values.yaml')) as object);
  const missing = Object.keys(properties.spec.properties).filter(
    (name) => !values.includes(name) && !NOT_YET.includes(name),
  );
  assert.deepEqual(missing, []);
  const rendered = read('charts/postfleet/templates/mailserver.yaml');
  for (const name of Object.keys(properties.spec.properties)) {
    if (!NOT_YET.includes(name)) assert.ok(rendered.includes(`"${name}"`), `the template leaves ${name} out`);
  }
});

test('every alert has a runbook, and every runbook an alert', () => {
  const alerts = [...read('charts/postfleet-operator/files/alerts.yaml').matchAll(/alert: (\w+)/g)].map(
    ([, name]) => name,
  );
  const pages = readdirSync(join(ROOT, 'docs/runbooks'))
    .filter((name) => name !== 'README.md')
    .map((name) => name.replace(/\.md$/, ''));
  assert.deepEqual(pages.sort(), alerts.sort());
});

test('metrics in alerts are metrics that are exported', () => {
  const expressions = [...read('charts/postfleet-operator/files/alerts.yaml').matchAll(/expr: (.*)/g)].map(
    ([, text]) => text!,
  );
  // The operator's metrics are declared without their common prefix.
  const sources = read('operator/runtime/metrics.ts');
  for (const expression of expressions) {
    for (const [, name] of expression.matchAll(/postfleet_operator_(\w+)/g)) {
      assert.ok(sources.includes(`name('${name}')`), `nothing exports ${name}`);
    }
  }
});

test('labels by which pods are found are those that the operator gives', () => {
  const used = [
    read('charts/postfleet/templates/podmonitor.yaml'),
    read('charts/postfleet/files/send-message.mjs'),
  ].join('\n');
  const labels = [...new Set(used.match(/postfleet\.dev\/(?:mailserver|service)\b/g))];
  assert.deepEqual(labels.sort(), ['postfleet.dev/mailserver', 'postfleet.dev/service']);
  const defined = read('operator/plan/input.ts');
  for (const label of labels) assert.ok(defined.includes(label), label);
});

test('examples are single documents with the fields of their kind', () => {
  const [example, ...others] = parseAllDocuments(read('examples/mailserver.yaml'));
  assert.equal(others.length, 0);
  assert.equal(example?.get('kind'), 'MailServer');
});

const VALUES = `# How many.
# Of what there are.
# @schema {minimum: 0}
count: 1

# Not a comment of the next key.

# A group.
group:
  # Inside.
  name: ""
  # Keys of the user's own.
  # @schema {additionalProperties: {type: string}}
  labels: {}
# A text.
script: |
  # not a comment
  inner: 1
`;

test('a comment belongs to the key right below it, at its depth', () => {
  assert.deepEqual(
    readValueComments(VALUES).map(({ path, text, schema }) => [path.join('.'), text, schema]),
    [
      ['count', 'How many. Of what there are.', '{minimum: 0}'],
      ['group', 'A group.', ''],
      ['group.name', 'Inside.', ''],
      ['group.labels', "Keys of the user's own.", '{additionalProperties: {type: string}}'],
      ['script', 'A text.', ''],
    ],
  );
});

test('types follow from defaults, and objects take no other keys', () => {
  const schema = valuesSchema('t', VALUES, undefined) as {
    additionalProperties: boolean;
    properties: { count: Schema; group: { additionalProperties: boolean; properties: { labels: Schema } } };
  };
  const { count, group } = schema.properties;
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(count, { description: 'How many. Of what there are.', type: 'integer', minimum: 0 });
  assert.equal(group.additionalProperties, false);
  assert.deepEqual(group.properties.labels.additionalProperties, { type: 'string' });
});

const WRONG: readonly { readonly yaml: string; readonly says: RegExp }[] = [
  { yaml: 'count: 1\n', says: /count has no comment/ },
  { yaml: '# What?\nnothing: null\n', says: /no type follows/ },
  { yaml: '# A field.\n# @crd spec.none\nfield: 1\n', says: /has no field spec.none/ },
];
for (const { yaml, says } of WRONG) {
  test(`values that ${says.source} are refused`, () => {
    assert.throws(() => valuesSchema('t', yaml, { properties: { spec: { properties: {} } } }), says);
  });
}
