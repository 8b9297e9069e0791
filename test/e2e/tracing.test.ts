/** Traces as a collector gets them: one per message, from whoever took it in to its last attempt. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { until } from '../support/until.ts';
import { startInstance, startNextHop } from './instance.ts';

interface Seen {
  readonly trace: string;
  readonly name: string;
}

/** The fields of that number of a protobuf message, as bytes. */
function fields(bytes: Uint8Array, number: number): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === number) found.push(reader.bytes());
    else reader.skip(type, field);
  }
  return found;
}

/** Spans of an ExportTraceServiceRequest: resource_spans, scope_spans, spans (opentelemetry-proto, trace.proto). */
function spansOf(request: Uint8Array): Seen[] {
  return fields(request, 1)
    .flatMap((resource) => fields(resource, 2))
    .flatMap((scope) => fields(scope, 2))
    .map((span) => ({
      trace: Buffer.from(fields(span, 1)[0]!).toString('hex'),
      name: Buffer.from(fields(span, 5)[0]!).toString(),
    }));
}

async function startCollector() {
  const spans: Seen[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    spans.push(...spansOf(Buffer.concat(pieces)));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    spans,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a message of sendmail has one trace, however often it is attempted', async () => {
  await using collector = await startCollector();
  await using hop = await startNextHop();
  await using instance = await startInstance({
    mainCf: `
relayhost = [127.0.0.1]:${hop.port}
smtp_tls_security_level = none
minimal_backoff_time = 3600s`,
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' },
  });
  const named = (name: string): Seen[] => collector.spans.filter((span) => span.name === name);
  hop.recipientReply = 450;
  await instance.command('sendmail', ['-f', 'a@example.org', 'b@example.com'], { stdin: 'Subject: traced\n\nx\n' });
  await until('the first attempt', () => named('qmgr').length === 1 && named('deliver smtp').length === 1);
  hop.recipientReply = 250;
  await instance.command('postqueue', ['-f']);
  await hop.message('Subject: traced');
  await until('the second attempt', () => named('qmgr').length === 2 && named('deliver smtp').length === 2);
  assert.equal(named('cleanup').length, 1);
  assert.equal(new Set(collector.spans.map(({ trace }) => trace)).size, 1, JSON.stringify(collector.spans));
});
