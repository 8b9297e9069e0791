/**
 * Traces sent by OTLP, with the OpenTelemetry SDK and its standard environment variables. Loaded by open-tracing.ts alone.
 */
import { context, propagation, type Span, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { TraceSpan, Tracing } from './tracing.ts';

function wrap(span: Span): TraceSpan {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-${(traceFlags & TraceFlags.SAMPLED) === 0 ? '00' : '01'}`,
    attribute: (name, value) => span.setAttribute(name, value),
    end(error) {
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      span.end();
    },
  };
}

export function otlpTracing(serviceName: string): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': process.env.OTEL_SERVICE_NAME ?? serviceName }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const tracer = provider.getTracer('postfleet');
  const extract = (traceparent: string) => propagation.extract(context.active(), { traceparent });
  return {
    start(name, traceparent = '', attributes = {}) {
      const parent = traceparent === '' ? context.active() : extract(traceparent);
      return wrap(tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent));
    },
    shutdown: () => provider.shutdown(),
  };
}
