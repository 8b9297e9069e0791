import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperatorContext } from '../context.ts';
import { ApiError } from '../runtime/api-client.ts';
import type { KubeObject } from '../runtime/kinds.ts';
import { deleteMail, endMail, isToBeLeft } from './finalize.ts';
import { MissingReference } from './references.ts';
import { StoreAway, StoreConnections } from './store-connections.ts';

const DELETED = '2026-01-01T00:00:00Z';
const after = (seconds: number): number => new Date(DELETED).getTime() + seconds * 1000;
const mailServer: KubeObject = { metadata: { name: 'mail', namespace: 'post', deletionTimestamp: DELETED } };

const ending = new ApiError(
  403,
  'Forbidden',
  'unable to create new content in namespace post because it is being terminated',
);
const forbidden = new ApiError(403, 'Forbidden', 'configmaps is forbidden');
const contextWith = (refusal?: Error): OperatorContext =>
  ({ client: { request: () => (refusal === undefined ? Promise.resolve({}) : Promise.reject(refusal)) } }) as never;

const noHost = new StoreAway('NATS: getaddrinfo ENOTFOUND', { cause: { code: 'ENOTFOUND' } });
const noAnswer = new StoreAway('NATS: timeout', { cause: new Error('timeout') });
const noSecret = new MissingReference('spec.postgres.secretRef: there is no Secret "database"');
const situations: readonly [
  situation: string,
  error: Error,
  refusal: Error | undefined,
  seconds: number,
  left: boolean,
][] = [
  ['the Service of a store is gone for long', noHost, undefined, 121, true],
  ['the Secret of a store is gone for long', noSecret, undefined, 121, true],
  ['the Secret of a store is gone for a moment', noSecret, undefined, 60, false],
  ['a store does not answer', noAnswer, undefined, 100_000, false],
  ['a store does not answer, and nothing may be asked', noAnswer, forbidden, 100_000, false],
  ['a store does not answer, and its namespace ends', noAnswer, ending, 121, true],
  ['a store does not answer, and its namespace ends since a moment', noAnswer, ending, 60, false],
];
for (const [situation, error, refusal, seconds, left] of situations) {
  test(`${situation}: its mail is ${left ? 'left' : 'still to be deleted'}`, async () => {
    assert.equal(await isToBeLeft(contextWith(refusal), mailServer, error, after(seconds)), left);
  });
}

test('of two stores the one that may come back is waited for', async () => {
  await using stores = new StoreConnections();
  const owner = { name: 'mail', namespace: 'post', uid: 'u' };
  const references = { natsUrl: 'nats://nothing.invalid', postgresUrl: 'postgres://127.0.0.1:1/x' };
  await assert.rejects(
    deleteMail({ stores } as OperatorContext, owner, { nats: { shards: 1 } } as never, references as never),
    /^StoreAway: Postgres: .*ECONNREFUSED/,
  );
});

test('a MailServer whose Secret is gone for good is let go with a line in the log, and its mailboxes go', async () => {
  const lines: string[] = [];
  const deleted: string[] = [];
  const context = {
    stores: { release: async () => undefined },
    log: { warning: (line: string) => void lines.push(line) },
    client: {
      delete: async (_kind: object, namespace: string, name: string) => void deleted.push(`${namespace}/${name}`),
    },
  } as unknown as OperatorContext;
  const spec = { nats: { shards: 1 }, mailStorage: { size: '1Gi' } } as never;
  const owner = { name: 'mail', namespace: 'post', uid: 'u' };
  assert.equal(await endMail(context, mailServer, owner, spec, () => Promise.reject(noSecret)), true);
  assert.deepEqual(lines, [`post/mail: deletionPolicy is Delete, and the stores are gone: ${noSecret.message}`]);
  assert.deepEqual(deleted, ['post/mail-mail']);
});
