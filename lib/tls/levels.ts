/** TLS security levels of the SMTP and LMTP client that there are here (TLS_README, Client TLS security levels). */
export const CLIENT_TLS_LEVELS = ['none', 'may', 'encrypt', 'verify', 'secure'] as const;
export type TlsLevel = (typeof CLIENT_TLS_LEVELS)[number];
