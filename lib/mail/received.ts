/**
 * The Received: header that is put in front of every message (RFC 5321 section 4.4), in Postfix's layout, which log and
 * header analysers know:
 *
 *     Received: from helo.example (host.example [192.0.2.1])
 *     	(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
 *     	 key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)
 *     	(No client certificate requested)
 *     	(Authenticated sender: user)
 *     	by mail.example.org (Postfix) with ESMTPSA id 4fRv2Q0b1zz1234
 *     	for <user@example.org>; Sun, 22 Nov 2026 14:07:36 +0000 (UTC)
 *
 * and for mail of local programs and of our own:
 *
 *     Received: by mail.example.org (Postfix, from userid 1000)
 *     	id 4fRv2Q0b1zz1234; Sun, 22 Nov 2026 14:07:36 +0000 (UTC)
 *
 * Pure. All texts come from a client in the end: control characters and parentheses are made harmless here.
 */
import { quote822Local } from './quote822.ts';

/** How the client's certificate stands. */
export type ClientCertificate =
  | { readonly kind: 'none' }
  | { readonly kind: 'not-requested' }
  | {
      readonly kind: 'verified' | 'not-verified';
      readonly subject: string;
      readonly issuer: string;
    };

/** The TLS session, with the texts of the TLS library. Written only with smtpd_tls_received_header. */
export interface ReceivedTls {
  readonly protocol: string;
  readonly cipher: string;
  readonly usedBits: number;
  readonly algorithmBits: number;
  readonly keyExchange?: string;
  readonly serverSignature?: string;
  readonly serverDigest?: string;
  readonly clientSignature?: string;
  readonly clientDigest?: string;
  readonly clientCertificate: ClientCertificate;
}

/** What the header says. */
export interface ReceivedFields {
  /** The client; undefined for mail of local users, which has a "by" line only. */
  readonly client?: {
    /** What the client said in HELO or EHLO; absent when it said nothing. */
    readonly helo?: string;
    /** Verified name, or `unknown`. */
    readonly name: string;
    /** Address as RFC 5321 writes it: `192.0.2.1` or `IPv6:2001:db8::1`. */
    readonly address: string;
  };
  readonly tls?: ReceivedTls;
  /** SASL login name. Written only with smtpd_sasl_authenticated_header. */
  readonly saslUser?: string;
  /** A sender named by the client (`MAIL FROM … AUTH=`). */
  readonly saslSender?: string;
  readonly myhostname: string;
  readonly mailName: string;
  /** `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA`, `UTF8SMTP`…; see protocolName. Absent for local submission. */
  readonly protocol?: string;
  /** For local submission: the user id, as in `(Postfix, from userid 1000)`. */
  readonly userId?: number;
  readonly queueId: string;
  /** The recipient of an SMTP message, in internal form; named only where the message has exactly one. */
  readonly recipient?: string;
  /** RFC 5322 date. */
  readonly date: string;
}

/** The name of the protocol in the "with" clause (RFC 3848, RFC 6531). */
export function protocolName(session: { esmtp: boolean; tls: boolean; sasl: boolean; smtputf8: boolean }): string {
  const base = session.smtputf8 ? 'UTF8SMTP' : session.esmtp ? 'ESMTP' : 'SMTP';
  if (!session.esmtp && !session.smtputf8) return base;
  return base + (session.tls ? 'S' : '') + (session.sasl ? 'A' : '');
}

/** The whole header with its name, lines joined by LF and a tab, without a final line ending. */
export function receivedHeader(fields: ReceivedFields): string {
  const lines: string[] = [];
  if (fields.client !== undefined) {
    const { helo, name, address } = fields.client;
    lines.push(`from ${helo === undefined || helo === '' ? name : harmless(helo)} (${harmless(name)} [${address}])`);
    if (fields.tls !== undefined) pushTls(lines, fields.tls);
    if (fields.saslUser !== undefined) pushSasl(lines, fields.saslUser, fields.saslSender);
  }
  pushBy(lines, fields);
  return `Received: ${lines.join('\n\t')}`;
}

/** Who received it, under which id, for whom and when. */
function pushBy(lines: string[], fields: ReceivedFields): void {
  const { myhostname, mailName, protocol, queueId, recipient, date } = fields;
  if (protocol === undefined) {
    const from = fields.userId === undefined ? '' : `, from userid ${fields.userId}`;
    lines.push(`by ${myhostname} (${mailName}${from})`, `id ${queueId}; ${date}`);
    return;
  }
  const by = `by ${myhostname} (${mailName}) with ${protocol} id ${queueId}`;
  if (recipient === undefined) lines.push(`${by};`, date);
  else lines.push(by, `for <${harmlessAddress(recipient)}>; ${date}`);
}

function pushTls(lines: string[], tls: ReceivedTls): void {
  let using = `(using ${tls.protocol} with cipher ${tls.cipher} (${tls.usedBits}/${tls.algorithmBits} bits)`;
  const extra: string[] = [];
  if (tls.keyExchange !== undefined) extra.push(`key-exchange ${tls.keyExchange}`);
  if (tls.serverSignature !== undefined) extra.push(`server-signature ${tls.serverSignature}`);
  if (tls.serverDigest !== undefined) extra.push(`server-digest ${tls.serverDigest}`);
  if (extra.length > 0) using += `\n\t ${extra.join(' ')}`;
  if (tls.clientSignature !== undefined) {
    using += `\n\t client-signature ${tls.clientSignature}`;
    if (tls.clientDigest !== undefined) using += ` client-digest ${tls.clientDigest}`;
  }
  lines.push(`${using})`);
  lines.push(certificateLine(tls.clientCertificate));
}

function certificateLine(certificate: ClientCertificate): string {
  switch (certificate.kind) {
    case 'none':
      return '(Client did not present a certificate)';
    case 'not-requested':
      return '(No client certificate requested)';
    default: {
      const verified = certificate.kind === 'verified' ? 'verified OK' : 'not verified';
      return `(Client CN "${harmless(certificate.subject)}", Issuer "${harmless(certificate.issuer)}" (${verified}))`;
    }
  }
}

function pushSasl(lines: string[], user: string, sender: string | undefined): void {
  const forSender = sender === undefined || sender === '' ? '' : ` on behalf of ${harmless(sender)}`;
  lines.push(`(Authenticated sender: ${harmless(user)}${forSender})`);
}

/** Control characters become `?`, so that no text can begin a line of its own; parentheses could end a comment. */
function harmless(text: string): string {
  if (/^[^\x00-\x1f\x7f()\\]*$/.test(text)) return text;
  return text.replace(/[\x00-\x1f\x7f]/g, '?').replace(/[()\\]/g, '?');
}

function harmlessAddress(address: string): string {
  return quote822Local(address).replace(/[\x00-\x1f\x7f]/g, '?');
}
