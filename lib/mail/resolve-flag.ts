/**
 * What trivial-rewrite(8) says of an address that it resolved: the `flags` of a ResolveReply are a sum of these bits.
 * The names are those that Postfix's resolve client prints.
 */
export const ResolveFlag = {
  /** This system is the final destination. */
  FINAL: 1,
  /** The localpart holds a route chosen by the sender: user@elsewhere@here, user%elsewhere@here, elsewhere!user@here. */
  ROUTED: 2,
  /** The address cannot be resolved: wrong syntax. */
  ERROR: 4,
  /** A table could not be asked: try again later. */
  FAIL: 8,
  CLASS_LOCAL: 256,
  CLASS_ALIAS: 512,
  CLASS_VIRTUAL: 1024,
  CLASS_RELAY: 2048,
  CLASS_DEFAULT: 4096,
} as const;
