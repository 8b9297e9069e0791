/**
 * OpenTelemetry traces: one trace per message, from the SMTP session through the log to delivery. Spans are recorded only
 * where the standard variables name an OTLP endpoint (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
 * everywhere else `start` gives undefined and costs nothing.
 *
 * A trace goes on across services as a W3C `traceparent` in the envelope and in every delivery request.
 */

export interface TraceSpan {
  /** W3C traceparent of this span, for whoever goes on with the message. */
  readonly traceparent: string;
  attribute(name: string, value: string | number | boolean): void;
  end(error?: string): void;
}

export interface Tracing {
  /** A span that begins at present, under `traceparent` where that is not empty; undefined where nothing is recorded. */
  start(
    name: string,
    traceparent?: string,
    attributes?: Record<string, string | number | boolean>,
  ): TraceSpan | undefined;
  shutdown(): Promise<void>;
}

/** Records nothing. */
export const NO_TRACING: Tracing = {
  start: () => undefined,
  shutdown: async () => undefined,
};
