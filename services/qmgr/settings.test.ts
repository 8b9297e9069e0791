import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Configuration } from '../../lib/config/settings.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { checkTransports, type TransportSettings, transportSettings } from './settings.ts';

const of = (mainCf: string, name = 'bulk'): TransportSettings =>
  transportSettings(Configuration.fromText(mainCf), name);

test('a transport has the settings of all transports, but for those of its own', () => {
  const cases: [string, string, keyof TransportSettings, number, number][] = [
    ['default_delivery_slot_cost = 7', 'bulk_delivery_slot_cost = 3', 'deliverySlotCost', 7, 3],
    ['default_delivery_slot_loan = 7', 'bulk_delivery_slot_loan = 0', 'deliverySlotLoan', 7, 0],
    ['default_delivery_slot_discount = 70', 'bulk_delivery_slot_discount = 0', 'deliverySlotDiscount', 70, 0],
    ['default_minimum_delivery_slots = 7', 'bulk_minimum_delivery_slots = 1', 'minimumDeliverySlots', 7, 1],
    ['default_recipient_limit = 700', 'bulk_recipient_limit = 10', 'recipientLimit', 700, 10],
    ['default_extra_recipient_limit = 70', 'bulk_extra_recipient_limit = 5', 'extraRecipientLimit', 70, 5],
    ['default_recipient_refill_limit = 70', 'bulk_recipient_refill_limit = 9', 'recipientRefillLimit', 70, 9],
    ['default_recipient_refill_delay = 7s', 'bulk_recipient_refill_delay = 1m', 'recipientRefillDelayMs', 7000, 60_000],
    [
      'default_destination_recipient_limit = 7',
      'bulk_destination_recipient_limit = 1',
      'destinationRecipientLimit',
      7,
      1,
    ],
    [
      'default_destination_concurrency_limit = 7',
      'bulk_destination_concurrency_limit = 3',
      'destinationConcurrencyLimit',
      7,
      3,
    ],
    [
      'initial_destination_concurrency = 7',
      'bulk_initial_destination_concurrency = 1',
      'initialDestinationConcurrency',
      7,
      1,
    ],
    [
      'default_destination_concurrency_failed_cohort_limit = 7',
      'bulk_destination_concurrency_failed_cohort_limit = 0',
      'failedCohortLimit',
      7,
      0,
    ],
    ['default_destination_rate_delay = 7s', 'bulk_destination_rate_delay = 0s', 'destinationRateDelayMs', 7000, 0],
    ['default_transport_rate_delay = 7s', 'bulk_transport_rate_delay = 1h', 'transportRateDelayMs', 7000, 3_600_000],
  ];
  for (const [all, own, setting, value, ownValue] of cases) {
    assert.equal(of(all)[setting], value, all);
    assert.equal(of(`${all}\n${own}`)[setting], ownValue, own);
    assert.equal(of(`${all}\n${own}`, 'smtp')[setting], value, `${own}, of another`);
  }
});

test('settings that nothing sets are those of Postfix', () => {
  const { name, positiveFeedback, negativeFeedback, ...numbers } = of('');
  assert.equal(name, 'bulk');
  assert.deepEqual([positiveFeedback, negativeFeedback], Array(2).fill({ base: 1, per: 'constant' }));
  assert.deepEqual(numbers, {
    processLimit: 100,
    destinationConcurrencyLimit: 20,
    destinationRecipientLimit: 50,
    initialDestinationConcurrency: 5,
    failedCohortLimit: 1,
    destinationRateDelayMs: 0,
    transportRateDelayMs: 0,
    deliverySlotCost: 5,
    deliverySlotLoan: 3,
    deliverySlotDiscount: 50,
    minimumDeliverySlots: 3,
    deadDestinationLimit: 20_000,
    recipientLimit: 20_000,
    extraRecipientLimit: 1000,
    recipientRefillLimit: 100,
    recipientRefillDelayMs: 5000,
  });
  const local = of('', 'local');
  assert.deepEqual([local.destinationRecipientLimit, local.destinationConcurrencyLimit], [1, 2]);
});

test('a rate delay leaves one delivery at a time', () => {
  assert.equal(of('bulk_destination_rate_delay = 1s').destinationConcurrencyLimit, 1);
  assert.equal(of('bulk_transport_rate_delay = 1s').processLimit, 1);
});

test('wrong feedback stops the start with file, line and name, whichever transport it is for', () => {
  const wrong = [
    'default_destination_concurrency_positive_feedback = 2',
    'smtp_destination_concurrency_negative_feedback = 1/queue',
    'unheard_of_destination_concurrency_positive_feedback = one',
  ];
  for (const line of wrong) {
    const configuration = Configuration.fromText(`# a comment\n${line}\n`);
    assert.throws(
      () => checkTransports(configuration),
      (error) => error instanceof FatalError && error.message.includes(`main.cf, line 2: ${line}: bad value`),
      line,
    );
  }
  checkTransports(Configuration.fromText('smtp_destination_concurrency_positive_feedback = 1 / 4'));
});

test('a wrong number for a transport of master.cf stops the start', () => {
  const directory = mkdtempSync(join(tmpdir(), 'qmgr-settings-'));
  try {
    writeFileSync(join(directory, 'master.cf'), 'bulk unix - - n - 7 smtp\n');
    writeFileSync(join(directory, 'main.cf'), '');
    const configuration = Configuration.load(directory);
    checkTransports(configuration);
    assert.equal(transportSettings(configuration, 'bulk').processLimit, 7);
    writeFileSync(join(directory, 'main.cf'), 'bulk_delivery_slot_discount = 101\n');
    assert.throws(() => checkTransports(Configuration.load(directory)), /bulk_delivery_slot_discount = 101: bad value/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
