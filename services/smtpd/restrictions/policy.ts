/**
 * The access policy of a server: which lists of restrictions run at which stage of a session, and what their outcome is
 * for the client. See SMTPD_ACCESS_README.
 *
 * With smtpd_delay_reject, the lists of the client, HELO and sender run when the first recipient comes, and again for each
 * further one. "Defer if permitted" of a stage holds for the stages behind it.
 */
import { restrictionName } from '../../../lib/smtp/restriction-names.ts';
import { FatalError } from '../../../lib/util/errors.ts';
import { compileRestrictions } from './compile.ts';
import type { Check, RestrictionEnvironment } from './environment.ts';
import { evaluate } from './evaluate.ts';
import { type RewriteContext, rewriteClients } from './rewrite-clients.ts';
import type { Stage, Subject } from './subject.ts';
import { unlistedCheck } from './unlisted.ts';
import { isRefusal, logAction, type MaybePromise, type Verdict } from './verdict.ts';

/** The reply that refuses, or undefined where the client may go on. */
export type Outcome = string | undefined;

interface Lists {
  readonly client: readonly Check[];
  readonly helo: readonly Check[];
  readonly sender: readonly Check[];
  readonly relay: readonly Check[];
  readonly recipient: readonly Check[];
  readonly data: readonly Check[];
  readonly endOfData: readonly Check[];
  readonly etrn: readonly Check[];
}

/** One of these in the lists for recipients is what keeps a server from relaying for everybody. */
const RELAY_GUARDS = new Set([
  'reject_unauth_destination',
  'defer_unauth_destination',
  'reject',
  'defer',
  'defer_if_permit',
  'check_relay_domains',
]);

export class AccessPolicy {
  readonly #environment: RestrictionEnvironment;
  readonly #lists: Lists;
  readonly #delay: boolean;
  readonly #stages: {
    readonly early: readonly (readonly Check[])[];
    readonly rcpt: readonly (readonly Check[])[];
    readonly delayed: readonly (readonly Check[])[];
  };

  readonly #rewriteClients: RewriteContext;

  private constructor(
    environment: RestrictionEnvironment,
    lists: Lists,
    rewrite: RewriteContext,
    unlisted: { recipient?: Check; sender?: Check },
  ) {
    this.#environment = environment;
    this.#lists = lists;
    this.#rewriteClients = rewrite;
    const { configuration } = environment;
    this.#delay = configuration.boolean('smtpd_delay_reject');
    const guards = configuration.boolean('smtpd_relay_before_recipient_restrictions')
      ? [lists.relay, lists.recipient]
      : [lists.recipient, lists.relay];
    const sender = unlisted.sender === undefined ? [] : [[unlisted.sender]];
    const recipient = unlisted.recipient === undefined ? [] : [[unlisted.recipient]];
    const early = this.#delay ? [lists.client, lists.helo, lists.sender] : [];
    const notEmpty = (list: readonly Check[]) => list.length > 0;
    this.#stages = {
      early: early.filter(notEmpty),
      rcpt: [...guards, ...(this.#delay ? sender : []), ...recipient].filter(notEmpty),
      delayed: (this.#delay ? [] : [lists.sender, ...sender]).filter(notEmpty),
    };
  }

  /** Throws FatalError where nothing would keep the server from being an open relay. */
  static async open(environment: RestrictionEnvironment, options: { guarded?: boolean } = {}): Promise<AccessPolicy> {
    const { configuration } = environment;
    const text = (parameter: string) => configuration.text(parameter);
    if (options.guarded ?? true) requireRelayGuard(environment);
    requireDefinitions(environment);
    const lists: Lists = {
      client: await compileRestrictions(environment, 'client', text('smtpd_client_restrictions')),
      helo: await compileRestrictions(environment, 'helo', text('smtpd_helo_restrictions')),
      sender: await compileRestrictions(environment, 'sender', text('smtpd_sender_restrictions')),
      relay: await compileRestrictions(environment, 'relay', text('smtpd_relay_restrictions')),
      recipient: await compileRestrictions(environment, 'recipient', text('smtpd_recipient_restrictions')),
      data: await compileRestrictions(environment, 'data', text('smtpd_data_restrictions')),
      endOfData: await compileRestrictions(environment, 'end-of-data', text('smtpd_end_of_data_restrictions')),
      etrn: await compileRestrictions(environment, 'etrn', text('smtpd_etrn_restrictions')),
    };
    return new AccessPolicy(environment, lists, await rewriteClients(environment), {
      ...(configuration.boolean('smtpd_reject_unlisted_recipient') &&
      !configuration.list('receive_override_options').includes('no_unknown_recipient_checks')
        ? { recipient: await unlistedCheck(environment, 'recipient') }
        : {}),
      ...(configuration.boolean('smtpd_reject_unlisted_sender')
        ? { sender: await unlistedCheck(environment, 'sender') }
        : {}),
    });
  }

  connect(subject: Subject): MaybePromise<Outcome> {
    subject.carried = undefined;
    subject.stage = 'CONNECT';
    return this.#delay ? undefined : this.#run(subject, [this.#lists.client], []);
  }

  /** Whether the client's mail is completed as local mail; the reply of a client for whom that is not known for now. */
  rewriteContext(subject: Subject): MaybePromise<Outcome> {
    return this.#rewriteClients(subject);
  }

  helo(subject: Subject, stage: 'HELO' | 'EHLO'): MaybePromise<Outcome> {
    subject.stage = stage;
    forget(subject, 'HELO', 'EHLO');
    return this.#delay ? undefined : this.#run(subject, [this.#lists.helo], ['CONNECT']);
  }

  mail(subject: Subject): MaybePromise<Outcome> {
    subject.stage = 'MAIL';
    forget(subject, 'MAIL');
    subject.senderListed = false;
    return this.#delay ? undefined : this.#run(subject, this.#stages.delayed, ['CONNECT', 'HELO', 'EHLO']);
  }

  /** Also for VRFY, which asks whether mail would be taken. */
  rcpt(subject: Subject, stage: 'RCPT' | 'VRFY' = 'RCPT'): MaybePromise<Outcome> {
    subject.stage = stage;
    // RFC 5321 section 4.5.1: a postmaster can always be written to.
    if (subject.recipient?.toLowerCase() === 'postmaster') return undefined;
    subject.recipientListed = false;
    subject.senderListed = false;
    const { early, rcpt } = this.#stages;
    return this.#run(subject, [...early, ...rcpt], ['CONNECT', 'HELO', 'EHLO', 'MAIL'], early.length);
  }

  data(subject: Subject): MaybePromise<Outcome> {
    if (this.#lists.data.length === 0) return undefined;
    subject.stage = 'DATA';
    // What is said of all recipients at once names none of several.
    subject.recipient = subject.soleRecipient;
    return this.#run(subject, [this.#lists.data], []);
  }

  endOfData(subject: Subject): MaybePromise<Outcome> {
    if (this.#lists.endOfData.length === 0) return undefined;
    subject.stage = 'END-OF-MESSAGE';
    subject.recipient = subject.soleRecipient;
    return this.#run(subject, [this.#lists.endOfData], []);
  }

  etrn(subject: Subject): MaybePromise<Outcome> {
    subject.stage = 'ETRN';
    const early = this.#delay ? [this.#lists.client, this.#lists.helo] : [];
    return this.#run(subject, [...early, this.#lists.etrn], ['CONNECT', 'HELO', 'EHLO'], early.length);
  }

  /** The first `apart` lists are those of earlier stages: "defer if rejected" counts within the list that says it. */
  #run(
    subject: Subject,
    lists: readonly (readonly Check[])[],
    earlier: readonly Stage[],
    apart = 0,
  ): MaybePromise<Outcome> {
    if (subject.deferIfPermit !== undefined || subject.deferIfReject !== undefined || subject.carried !== undefined) {
      const left = subject.carried;
      subject.deferIfPermit = undefined;
      subject.deferIfReject = undefined;
      for (const stage of earlier) subject.deferIfPermit ??= left?.get(stage);
    }
    return this.#from(subject, lists, apart, 0);
  }

  #from(subject: Subject, lists: readonly (readonly Check[])[], apart: number, from: number): MaybePromise<Outcome> {
    for (let at = from; at < lists.length; at++) {
      if (at <= apart) subject.deferIfReject = undefined;
      const verdict = evaluate(lists[at]!, subject);
      if (verdict instanceof Promise) {
        return verdict.then((outcome) => this.#settled(subject, outcome) ?? this.#from(subject, lists, apart, at + 1));
      }
      const refusal = this.#settled(subject, verdict);
      if (refusal !== undefined) return refusal;
    }
    return this.#finish(subject);
  }

  #settled(_subject: Subject, verdict: Verdict): Outcome {
    return isRefusal(verdict) ? verdict.reply : undefined;
  }

  /** Nobody refused: what was to be deferred if permitted is refused at RCPT and later, and kept until then before it. */
  #finish(subject: Subject): Outcome {
    const { deferIfPermit, stage } = subject;
    if (deferIfPermit === undefined) return undefined;
    if (stage === 'CONNECT' || stage === 'HELO' || stage === 'EHLO' || stage === 'MAIL') {
      subject.carried ??= new Map();
      subject.carried.set(stage, deferIfPermit);
      return undefined;
    }
    logAction(this.#environment.log, subject, 'reject', deferIfPermit.reply);
    return deferIfPermit.reply;
  }
}

/** What an earlier command of the same kind left to be deferred is no matter of this one. */
function forget(subject: Subject, ...stages: readonly Stage[]): void {
  for (const stage of stages) subject.carried?.delete(stage);
}

function requireDefinitions({ configuration }: RestrictionEnvironment): void {
  for (const name of configuration.list('smtpd_restriction_classes')) {
    if (!configuration.raw(name)?.trim()) throw new FatalError(`restriction class \`${name}' needs a definition`);
  }
}

function requireRelayGuard(environment: RestrictionEnvironment): void {
  const { configuration } = environment;
  const words = [
    ...configuration.list('smtpd_relay_restrictions'),
    ...configuration.list('smtpd_recipient_restrictions'),
  ].map((word) => restrictionName(word));
  if (words.some((word, at) => RELAY_GUARDS.has(word) && words[at - 1] !== 'warn_if_reject')) return;
  throw new FatalError(
    `in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: ${[...RELAY_GUARDS].join(', ')}`,
  );
}
