/** What lookup tables need of the service that opens them, made from the service's context. */
import type { TableContext } from '../tables/table.ts';
import type { ServiceContext } from './context.ts';

export function tableContext(context: ServiceContext): TableContext {
  const { configuration, log, signal } = context;
  return {
    directory: configuration.directory,
    warn: (text) => log.warning(text),
    error: (text) => log.error(text),
    signal,
    parameter: (name) => (configuration.set(name) ? configuration.text(name) : undefined),
  };
}
