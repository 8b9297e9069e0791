/**
 * cleanup(8): makes messages whole and puts them into the incoming log, answering only when they are on disk.
 *
 * Adds Received:, the headers that are missing from mail that originates here, drops those that must not pass
 * (message_drop_headers), completes and maps addresses of envelope and headers, applies header_checks and body_checks,
 * removes duplicate recipients, enforces hopcount_limit and message_size_limit, and refuses mail while there is no room for it (queue_minfree).
 *
 * Logs `QUEUEID: message-id=<…>`; a warning where a message could not be written.
 * Limits: of a message larger than postfleet_inline_limit, header rules see the first 256 KiB.
 * @see cleanup(8)
 */
import {
  type Cleanup,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
  Unavailable,
} from '../../lib/clients/protocols.ts';
import { SpaceMonitor } from '../../lib/queue/space.ts';
import { durability } from '../../lib/server/durability.ts';
import { LogReadiness } from '../../lib/server/log-ready.ts';
import { rpcServer } from '../../lib/server/rpc-server.ts';
import { streamsAsExpected } from '../../lib/server/streams-as-expected.ts';
import { tableContext } from '../../lib/server/table-context.ts';
import { TableError } from '../../lib/tables/table.ts';
import { type MaybePromise, promised } from '../../lib/util/maybe-promise.ts';
import { AUTOMATIC_BCC_PARAMETERS } from './always-bcc.ts';
import { CANONICAL_PARAMETERS } from './canonical.ts';
import { Committer, reply } from './commit.ts';
import { HEADER_BODY_CHECKS_PARAMETERS, openHeaderBodyChecks } from './header-body-checks.ts';
import { AddressMapping } from './mapping.ts';
import { MASQUERADE_PARAMETERS } from './masquerade.ts';
import { CLEANUP_PARAMETERS, cleanupSettings } from './settings.ts';
import { type SubmitContext, submit, submitLarge } from './submit.ts';
import { traced } from './trace.ts';
import { VIRTUAL_ALIAS_PARAMETERS } from './virtual-alias.ts';

export const service = rpcServer({
  name: 'cleanup',
  parameters: [
    ...CLEANUP_PARAMETERS,
    ...CANONICAL_PARAMETERS,
    ...MASQUERADE_PARAMETERS,
    ...AUTOMATIC_BCC_PARAMETERS,
    ...VIRTUAL_ALIAS_PARAMETERS,
    ...HEADER_BODY_CHECKS_PARAMETERS,
  ],
  async open(context) {
    const { configuration, log, metrics, tracing, clients, signal } = context;
    const settings = cleanupSettings(configuration);
    const nats = await context.stores.nats();
    await durability(configuration, log);
    await streamsAsExpected(nats, settings.shards, log, signal);
    const rewrite = clients.rewrite();
    const rule = {
      shards: settings.shards,
      perRecipient: (name: string) => configuration.integer(`${name}_destination_recipient_limit`) === 1,
      perTransport: (name: string) => configuration.seconds(`${name}_transport_rate_delay`) > 0,
    };
    const committer = new Committer({ nats, rule, rewrite, log, metrics, written: context.written, signal });
    const space = new SpaceMonitor({
      nats,
      shards: settings.shards,
      path: settings.queuePath,
      // As smtpd(8) has it: room for one more message of the largest size, and a half.
      minimumFree: Math.max(settings.queueMinfree, settings.messageSizeLimit * 1.5),
      log,
    });
    const tables = tableContext(context);
    const mapping = await AddressMapping.open(configuration, tables, rewrite);
    const inspection = await openHeaderBodyChecks(configuration, tables);
    const submitContext: SubmitContext = { settings, nats, log, committer, space, mapping, inspection };

    /** What other services and tables do is a reply: the client tries again later. */
    const guarded = (
      request: SubmitRequest,
      work: (request: SubmitRequest) => MaybePromise<SubmitReply>,
    ): Promise<SubmitReply> =>
      promised(() => traced(tracing, request, work)).catch((error: unknown) => {
        if (!(error instanceof TableError || error instanceof Unavailable)) throw error;
        const queueId = request.envelope?.queueId ?? '';
        log.warning(`${queueId}: ${error.message}`);
        return reply(SubmitStatus.TEMPORARY_ERROR, queueId, error.message);
      });
    const cleanup: Cleanup = {
      submit: (request) => guarded(request, (one) => submit(submitContext, one)),
      submitLarge: (request, content) => guarded(request, (one) => submitLarge(submitContext, one, content)),
    };
    const readiness = new LogReadiness(nats, configuration);
    return {
      cleanup,
      ready: () => readiness.isReady(),
      async [Symbol.asyncDispose]() {
        await committer.drain();
        await mapping[Symbol.asyncDispose]();
        await inspection[Symbol.asyncDispose]();
      },
    };
  },
});
