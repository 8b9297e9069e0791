import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import type { Entry } from './message.ts';
import { judge } from './outcome.ts';
import { qmgrSettings } from './settings.ts';

const settings = qmgrSettings(Configuration.fromText('compatibility_level = 3.12\nmyhostname = mail.example.org\n'));
const NOW = 1_700_000_000;

interface Case {
  readonly name: string;
  /** sendmail -bv: 1, -v: 2 */
  readonly traceFlags?: number;
  readonly dsnNotify?: number;
  readonly attempts?: number;
  /** Seconds since the message arrived. */
  readonly age?: number;
  readonly status: DeliveryStatus;
  readonly done: boolean;
  /** "kind action" of the lines that notices are made of. */
  readonly logged: readonly string[];
}

const { SENT, DEFERRED, BOUNCED } = DeliveryStatus;
const KIND = { 1: 'bounce', 2: 'delay', 3: 'trace' } as const;

const CASES: readonly Case[] = [
  { name: 'delivered', status: SENT, done: true, logged: [] },
  { name: 'delivered, and NOTIFY=SUCCESS', dsnNotify: 2, status: SENT, done: true, logged: ['trace relayed'] },
  { name: 'failed', status: BOUNCED, done: true, logged: ['bounce failed'] },
  { name: 'put off', status: DEFERRED, done: false, logged: [] },
  { name: 'put off for too long', age: 6 * 86_400, status: DEFERRED, done: true, logged: ['bounce failed'] },
  { name: 'sendmail -bv, deliverable', traceFlags: 1, status: SENT, done: true, logged: ['trace deliverable'] },
  { name: 'sendmail -bv, failed', traceFlags: 1, status: BOUNCED, done: true, logged: ['trace undeliverable'] },
  { name: 'sendmail -bv, put off', traceFlags: 1, status: DEFERRED, done: true, logged: ['trace undeliverable'] },
  { name: 'sendmail -v, delivered', traceFlags: 2, status: SENT, done: true, logged: ['trace relayed'] },
  {
    name: 'sendmail -v, failed',
    traceFlags: 2,
    status: BOUNCED,
    done: true,
    logged: ['bounce failed', 'trace failed'],
  },
  { name: 'sendmail -v, put off', traceFlags: 2, status: DEFERRED, done: false, logged: ['trace delayed'] },
  { name: 'sendmail -v, put off again', traceFlags: 2, attempts: 1, status: DEFERRED, done: false, logged: [] },
  { name: 'sendmail -v, delivered later', traceFlags: 2, attempts: 3, status: SENT, done: true, logged: [] },
];

for (const { name, traceFlags = 0, dsnNotify = 0, attempts = 0, age = 10, status, done, logged } of CASES) {
  test(`what becomes of a recipient: ${name}`, () => {
    const entry = {
      message: {
        key: { log: 1, sequence: 1, entry: 0 },
        shard: 0,
        single: false,
        delayNotified: false,
        forcedExpire: undefined,
        envelope: { sender: 'a@example.com', traceFlags, arrivalTime: (NOW - age) * 1e6 },
      },
      queue: { transportName: 'smtp', nexthop: 'example.org' },
      recipients: [{ offset: 0, address: 'b@example.org', originalAddress: '', dsnOriginalRecipient: '', dsnNotify }],
      attempts,
    } as unknown as Entry;
    const notification = {
      status: status === SENT ? '2.0.0' : '4.0.0',
      action: status === SENT ? 'relayed' : '',
      reason: 'said so',
      diagnosticType: '',
      diagnosticText: '',
      remoteMta: '',
    };
    const reply = {
      recipients: [{ offset: 0, status, notification }],
      destinationUnavailable: undefined,
      refused: false,
    };
    const judgement = judge(entry, reply, 1, NOW, settings);
    assert.deepEqual(
      judgement.outcome.bounceLog.map(({ kind, action }) => `${KIND[kind]} ${action}`),
      logged,
    );
    assert.equal(judgement.outcome.done.length, done ? 1 : 0);
    assert.equal(judgement.outcome.deferred.length, done ? 0 : 1);
    assert.equal(judgement.untold > 0, logged.length > 0);
  });
}
