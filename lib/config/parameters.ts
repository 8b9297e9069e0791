/**
 * The parameter table: every main.cf parameter of Postfix 3.12 and Postfleet's own, as one map that feeds the readers
 * of settings, postconf, the MailServer schema and docs/parameters.md.
 *
 * The rows stand in lib/config/table, one file a family, in the column order of ParameterRow. A default is literal
 * text with its `$name` and `${…}` expressions; the empty defaults of myhostname, mydomain, mynetworks and process_id
 * stand for values of the host (lib/config/host.ts).
 *
 * Types are postconf's classes: `bool`, `int`, `long`, `time`, `string`, `raw` (not expanded when read), `nbool` and
 * `nint` (their default is an expression). Ranges are `min..max`, either may be absent; times count in seconds.
 * @see postconf(5)
 */
import { noEffect } from './no-effect.ts';
import { addresses } from './table/addresses.ts';
import { lmtpClient } from './table/lmtp-client.ts';
import { localDelivery } from './table/local-delivery.ts';
import { postfleet } from './table/postfleet.ts';
import { postscreen } from './table/postscreen.ts';
import { queue } from './table/queue.ts';
import { smtpClient } from './table/smtp-client.ts';
import { smtpServer } from './table/smtp-server.ts';
import { system } from './table/system.ts';
import { tls } from './table/tls.ts';

export type ParameterType = 'bool' | 'int' | 'long' | 'time' | 'string' | 'raw' | 'nbool' | 'nint';

/** name, type, default, range, since (Postfix version; empty: always), services that read it, meaning. */
export type ParameterRow = readonly [
  name: string,
  type: ParameterType,
  defaultValue: string,
  range: string,
  since: string,
  usedBy: string,
  meaning: string,
];

export interface Parameter {
  readonly name: string;
  readonly type: ParameterType;
  /** The default as text, unexpanded. */
  readonly defaultValue: string;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly since: string;
  /** Services and commands that read it; `all` stands for every service. Empty where it has no effect. */
  readonly usedBy: readonly string[];
  /** Why it has no effect here; empty where it has. */
  readonly here: string;
  readonly meaning: string;
}

const notRead = 'Nothing reads it: it is accepted, and not implemented.';

const reasons = new Map(noEffect.flatMap(({ reason, names }) => names.map((name) => [name, reason] as const)));

function parameterFromRow([name, type, defaultValue, range, since, usedBy, meaning]: ParameterRow): Parameter {
  const [min = '', max = ''] = range.split('..');
  return {
    name,
    type,
    defaultValue,
    min: min === '' ? undefined : Number(min),
    max: max === '' ? undefined : Number(max),
    since,
    usedBy: usedBy === '' ? [] : usedBy.split(' '),
    here: reasons.get(name) ?? (usedBy === '' ? notRead : ''),
    meaning,
  };
}

const postfixRows = [
  ...addresses,
  ...lmtpClient,
  ...localDelivery,
  ...postscreen,
  ...queue,
  ...smtpClient,
  ...smtpServer,
  ...system,
  ...tls,
];

function tableOf(rows: readonly ParameterRow[]): ReadonlyMap<string, Parameter> {
  return new Map(rows.map((row) => [row[0], parameterFromRow(row)] as const));
}

/** The 909 parameters of Postfix. */
export const postfixParameters: ReadonlyMap<string, Parameter> = tableOf(postfixRows);

/** Postfleet's own parameters; all begin with `postfleet_`. */
export const ownParameters: ReadonlyMap<string, Parameter> = tableOf(postfleet);

/** All of them. */
export const parameters: ReadonlyMap<string, Parameter> = new Map([...postfixParameters, ...ownParameters]);

/**
 * Parameters that come into being with a transport: the rest of the name after `<transport>_`, and the parameter whose
 * value is the default. postconf(5) writes them as `transport_destination_concurrency_limit` and so on.
 */
export const transportParameters: ReadonlyMap<string, string> = new Map([
  ['delivery_slot_cost', 'default_delivery_slot_cost'],
  ['delivery_slot_discount', 'default_delivery_slot_discount'],
  ['delivery_slot_loan', 'default_delivery_slot_loan'],
  ['destination_concurrency_failed_cohort_limit', 'default_destination_concurrency_failed_cohort_limit'],
  ['destination_concurrency_limit', 'default_destination_concurrency_limit'],
  ['destination_concurrency_negative_feedback', 'default_destination_concurrency_negative_feedback'],
  ['destination_concurrency_positive_feedback', 'default_destination_concurrency_positive_feedback'],
  ['destination_rate_delay', 'default_destination_rate_delay'],
  ['destination_recipient_limit', 'default_destination_recipient_limit'],
  ['extra_recipient_limit', 'default_extra_recipient_limit'],
  ['initial_destination_concurrency', 'initial_destination_concurrency'],
  ['minimum_delivery_slots', 'default_minimum_delivery_slots'],
  ['recipient_limit', 'default_recipient_limit'],
  ['recipient_refill_delay', 'default_recipient_refill_delay'],
  ['recipient_refill_limit', 'default_recipient_refill_limit'],
  ['transport_rate_delay', 'default_transport_rate_delay'],
]);

/** Parameter of pipe, spawn and policy services: `<service>_time_limit` falls back on command_time_limit. */
export const timeLimitParameter = { suffix: 'time_limit', fallback: 'command_time_limit' } as const;

/**
 * The parameter that an unlisted name of the form `<transport>_<suffix>` takes its type and default from, such as
 * default_destination_concurrency_limit for `relay_destination_concurrency_limit`; undefined for any other name.
 */
export function transportFallback(name: string): Parameter | undefined {
  for (let at = name.indexOf('_'); at > 0; at = name.indexOf('_', at + 1)) {
    const suffix = name.slice(at + 1);
    const fallback =
      suffix === timeLimitParameter.suffix ? timeLimitParameter.fallback : transportParameters.get(suffix);
    if (fallback !== undefined) return parameters.get(fallback);
  }
  return undefined;
}
