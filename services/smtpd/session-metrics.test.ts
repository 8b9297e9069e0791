import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '../../lib/server/metrics.ts';
import { SessionMetrics } from './session-metrics.ts';

test('who reads the metrics sees every message that was answered until then', async () => {
  const metrics = createMetrics();
  const ending = new AbortController();
  const counts = new SessionMetrics(metrics, 'smtp', ending.signal);
  counts.opened();
  counts.accepted();
  counts.accepted();
  counts.rejected('RCPT');
  counts.replied(3);
  const text = await metrics.registry.metrics();
  for (const line of [
    'postfleet_messages_accepted_total{service="smtp"} 2',
    'postfleet_rejected_total{service="smtp",stage="RCPT"} 1',
    'postfleet_connections_total{service="smtp"} 1',
    'postfleet_sessions{service="smtp"} 1',
    'postfleet_reply_seconds_count{service="smtp"} 1',
  ])
    assert.ok(text.split('\n').includes(line), line);
  counts.accepted();
  counts.closed();
  ending.abort();
  assert.equal(metrics.handOver.size, 0);
  const after = await metrics.registry.metrics();
  assert.match(after, /^postfleet_messages_accepted_total\{service="smtp"\} 3$/m);
  assert.match(after, /^postfleet_sessions\{service="smtp"\} 0$/m);
});
