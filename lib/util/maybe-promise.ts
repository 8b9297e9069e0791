/** A value that is there at once, or later: what caches and tables answer with, so that a hit costs no turn of the event loop. */
export type MaybePromise<T> = T | Promise<T>;
