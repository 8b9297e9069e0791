/** What is used of pg-copy-streams, which comes without types. */
declare module 'pg-copy-streams' {
  import type { Readable, Writable } from 'node:stream';
  import type { Submittable } from 'pg';
  export type CopyStreamQuery = Writable & Submittable;
  export type CopyToStreamQuery = Readable & Submittable;
  export function from(sql: string): CopyStreamQuery;
  export function to(sql: string): CopyToStreamQuery;
}
