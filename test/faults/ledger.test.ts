import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  balance,
  type Copy,
  type Kill,
  type Notice,
  passes,
  type Records,
  type Sent,
  summary,
  WRITE_LIMIT,
} from './ledger.ts';

const RECIPIENT = 'ok-m1@d0.test';
const REFUSED = 'no-m1@d0.test';
const accepted: Sent = { id: 'm1', recipients: [RECIPIENT], attempts: [{ at: 1000, answered: 1010, code: 250 }] };
const toRefused: Sent = { ...accepted, recipients: [REFUSED] };
const copy = (queueId: string, began: number, ended = began + 10): Copy => ({
  id: 'm1',
  recipient: RECIPIENT,
  queueId,
  began,
  ended,
  isWhole: true,
});
const notice = (queueId: string, about: string, at = 2000): Notice => ({
  ...copy(queueId, at),
  recipient: REFUSED,
  about,
});
const kill = (kind: string, at: number, back = at + 500): Kill => ({ kind, at, back });
const records = (some: Partial<Records>): Records => ({
  sent: [accepted],
  copies: [],
  notices: [],
  queued: new Set(),
  kills: [],
  removed: new Map(),
  ...some,
});

test('a message that nobody has any more is lost', () => {
  const verdict = balance(records({}));
  assert.deepEqual(verdict.lost, ['m1']);
  assert.equal(passes(verdict), false);
  assert.equal(
    summary(verdict, 3),
    'sent 1 accepted 1 unknown 0 delivered 0 bounced 0 queued 0 lost 1 duplicates 0 kills 3',
  );
});

test('one of two recipients without an outcome makes the message lost', () => {
  const sent = { ...accepted, recipients: [RECIPIENT, 'no-m1@d0.test'] };
  assert.deepEqual(balance(records({ sent: [sent], copies: [copy('A', 2000)] })).lost, ['m1']);
});

test('what was delivered, bounced or queued balances', () => {
  const fates: [Partial<Records>, 'delivered' | 'bounced' | 'queued'][] = [
    [{ copies: [copy('A', 2000)] }, 'delivered'],
    [{ sent: [toRefused], notices: [notice('N', 'A')] }, 'bounced'],
    [{ queued: new Set([`m1 ${RECIPIENT}`]) }, 'queued'],
  ];
  for (const [some, fate] of fates) {
    const verdict = balance(records(some));
    assert.equal(verdict[fate], 1, fate);
    assert.equal(passes(verdict), true, fate);
  }
});

test('a copy that is not whole is no delivery', () => {
  const verdict = balance(records({ copies: [{ ...copy('A', 2000), isWhole: false }] }));
  assert.deepEqual([verdict.lost, verdict.damaged], [['m1'], [`m1 ${RECIPIENT}`]]);
});

test('what arrives damaged fails the run, also beside what is whole', () => {
  const damaged: [string, Partial<Records>][] = [
    [
      'the copy of another recipient',
      { copies: [copy('A', 2000), { ...copy('A', 2000), recipient: 'ok-m2@d0.test' }] },
    ],
    ['a copy of nothing that was sent', { copies: [copy('A', 2000), { ...copy('B', 2000), id: '' }] }],
    ['a notice with the message of another', { sent: [toRefused], notices: [{ ...notice('N', 'A'), isWhole: false }] }],
  ];
  for (const [what, some] of damaged) {
    const verdict = balance(records(some));
    assert.equal(verdict.damaged.length, 1, what);
    assert.equal(passes(verdict), false, what);
  }
});

test('a recipient that nobody refuses may not bounce', () => {
  const verdict = balance(records({ notices: [{ ...notice('N', 'A'), recipient: RECIPIENT }] }));
  assert.deepEqual(verdict.wronglyBounced, [`m1 ${RECIPIENT}`]);
  assert.equal(passes(verdict), false);
});

test('a message without an answer is unknown, and may be missing', () => {
  const sent = { ...accepted, attempts: [{ at: 1000, answered: 1500, code: undefined }] };
  const verdict = balance(records({ sent: [sent] }));
  assert.deepEqual([verdict.accepted, verdict.unknown, verdict.lost], [0, 1, []]);
});

const causes: [string, Partial<Records>, RegExp | undefined][] = [
  ['no kill at all', { copies: [copy('A', 2000), copy('A', 3000)] }, undefined],
  [
    'smtp killed during the first attempt',
    { copies: [copy('A', 2000), copy('A', 5000)], kills: [kill('smtp', 2005)] },
    /attempt open when smtp/,
  ],
  [
    'qmgr killed before the outcome was written',
    { copies: [copy('A', 2000), copy('A', 5000)], kills: [kill('qmgr', 2500)], removed: new Map([['A', 5100]]) },
    /attempt open when qmgr/,
  ],
  [
    'qmgr killed after it said that the outcome was written',
    { copies: [copy('A', 2000), copy('A', 5000)], kills: [kill('qmgr', 2500)], removed: new Map([['A', 2100]]) },
    undefined,
  ],
  [
    'qmgr killed long after',
    { copies: [copy('A', 2000), copy('A', 99_000)], kills: [kill('qmgr', 2011 + WRITE_LIMIT)] },
    undefined,
  ],
  [
    'Postgres away when the attempt ended, qmgr killed before it was back',
    {
      copies: [copy('A', 2000), copy('A', 99_000)],
      kills: [kill('postgres', 1900, 20_000), kill('qmgr', 15_000)],
    },
    /attempt open when qmgr/,
  ],
  [
    'the attempt began while Postgres was away',
    { copies: [copy('A', 2000), copy('A', 4000)], kills: [kill('postgres', 1000, 2001)] },
    /attempt open when postgres/,
  ],
  [
    'the attempt began while a new master started',
    { copies: [copy('A', 2000), copy('A', 4000)], kills: [kill('master', 1000, 2001)] },
    /attempt open when master/,
  ],
  [
    'the attempt began when Postgres was back',
    { copies: [copy('A', 2000), copy('A', 4000)], kills: [kill('postgres', 1000, 1999)] },
    undefined,
  ],
  [
    'the kill came before the attempt',
    { copies: [copy('A', 2000), copy('A', 3000)], kills: [kill('smtp', 1999)] },
    undefined,
  ],
  ...['smtpd', 'anvil', 'cleanup', 'rewrite', 'error', 'bounce', 'showq', 'nats-server'].map(
    (kind): [string, Partial<Records>, undefined] => [
      `${kind} killed during the attempt`,
      { copies: [copy('A', 2000), copy('A', 3000)], kills: [kill(kind, 2005)] },
      undefined,
    ],
  ),
  [
    'two queue ids and an answer to everything',
    { copies: [copy('A', 2000), copy('B', 2000)], kills: [kill('smtpd', 1005)] },
    undefined,
  ],
  [
    'two queue ids after an end of data without an answer, smtpd killed',
    {
      sent: [{ ...accepted, attempts: [{ at: 500, answered: 510, code: undefined }, ...accepted.attempts] }],
      copies: [copy('A', 2000), copy('B', 2000)],
      kills: [kill('smtpd', 505)],
    },
    /unknown answer \(smtpd killed\)/,
  ],
  [
    'two queue ids after an end of data without an answer, nobody killed',
    {
      sent: [{ ...accepted, attempts: [{ at: 500, answered: 510, code: undefined }, ...accepted.attempts] }],
      copies: [copy('A', 2000), copy('B', 2000)],
    },
    undefined,
  ],
  [
    'three queue ids and one end of data without an answer',
    {
      sent: [{ ...accepted, attempts: [{ at: 500, answered: 510, code: undefined }, ...accepted.attempts] }],
      copies: [copy('A', 2000), copy('B', 2000), copy('C', 2000)],
      kills: [kill('smtpd', 505)],
    },
    undefined,
  ],
  [
    'delivered, and bounced as well',
    { sent: [toRefused], copies: [{ ...copy('A', 2000), recipient: REFUSED }], notices: [notice('N', 'A', 3000)] },
    undefined,
  ],
  [
    'two notices about one failure, whatever was killed',
    { sent: [toRefused], notices: [notice('N', 'A'), notice('O', 'A')], kills: [kill('everything', 2005)] },
    undefined,
  ],
  [
    'one notice delivered twice, smtp killed during the first time',
    { sent: [toRefused], notices: [notice('N', 'A'), notice('N', 'A', 4000)], kills: [kill('smtp', 2005)] },
    /its notice/,
  ],
];

for (const [situation, some, cause] of causes) {
  test(`a duplicate ${cause === undefined ? 'has no cause' : 'has a cause'}: ${situation}`, () => {
    const verdict = balance(records(some));
    assert.equal(verdict.duplicates.length, 1);
    if (cause === undefined) assert.equal(verdict.duplicates[0]!.cause, undefined);
    else assert.match(verdict.duplicates[0]!.cause ?? '', cause);
    assert.equal(passes(verdict), cause !== undefined);
  });
}
