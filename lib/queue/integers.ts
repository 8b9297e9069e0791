/**
 * Postgres' bigint as a number: sequences and counts stay far below 2^53. The setting is the driver's and holds for the
 * whole process.
 */
import pg from 'pg';

const INT8 = 20;

export function readsIntegersAsNumbers(): void {
  pg.types.setTypeParser(INT8, Number);
}
