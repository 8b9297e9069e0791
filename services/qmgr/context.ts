/**
 * What the parts of qmgr share: the stores, the clients of other services, the active queue and the writers behind it.
 */
import type { Pool } from 'pg';
import type { TrivialRewrite } from '../../lib/clients/protocols.ts';
import type { ContentReader } from '../../lib/queue/content.ts';
import type { EntryReader } from '../../lib/queue/entry-reader.ts';
import type { ShardRule } from '../../lib/queue/shard-hash.ts';
import type { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Metrics } from '../../lib/server/metrics.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Tracing } from '../../lib/server/tracing.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Wake } from '../../lib/util/wake.ts';
import type { Finisher } from './finish.ts';
import type { Scheduler } from './scheduler.ts';
import type { QmgrSettings } from './settings.ts';

export interface QmgrContext {
  readonly settings: QmgrSettings;
  readonly rule: ShardRule;
  readonly pool: Pool;
  readonly nats: Nats;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly rewrite: TrivialRewrite;
  readonly content: ContentReader;
  readonly entries: EntryReader;
  readonly written: WrittenFrames;
  readonly scheduler: Scheduler;
  readonly finisher: Finisher;
  /** Name of the stream behind a log number. */
  readonly streamOf: (log: number) => Promise<string | undefined>;
  /** Rings when something may be due before its time: a flush, a hand-over. */
  readonly wake: Wake;
  /** Tells the other qmgrs that they have mail of ours. */
  readonly notify: () => void;
  /** Something that a person must see; undefined when it is over. */
  readonly trouble: (shard: number, text: string | undefined) => void;
}
