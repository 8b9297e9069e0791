/**
 * Tracing as the environment asks for it: the OpenTelemetry SDK is loaded only where an OTLP endpoint is named, because it
 * costs memory that nobody else should pay.
 */
import { NO_TRACING, type Tracing } from './tracing.ts';

/** `serviceName` is used where OTEL_SERVICE_NAME is not set. */
export async function openTracing(serviceName: string, environment: NodeJS.ProcessEnv = process.env): Promise<Tracing> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SDK_DISABLED } = environment;
  const named = (OTEL_EXPORTER_OTLP_ENDPOINT ?? '') !== '' || (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? '') !== '';
  if (!named || OTEL_SDK_DISABLED === 'true') return NO_TRACING;
  const { otlpTracing } = await import('./otlp-tracing.ts');
  return otlpTracing(serviceName);
}
