/**
 * Certificates of our own making, for services of one fleet that know each other by a common authority: version 3, ECDSA with
 * P-256 and SHA-256. Nothing is read or written; the caller keeps keys secret. Verifying is left to TLS.
 *
 * Standards: RFC 5280 (certificates), RFC 5480 and 5758 (ECDSA), X.690 (DER).
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';

export interface Issued {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

type Der = Buffer;

function der(tag: number, ...parts: readonly Der[]): Der {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = Buffer.from(content.length.toString(16).padStart(content.length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

const sequence = (...parts: readonly Der[]): Der => der(0x30, ...parts);
const set = (...parts: readonly Der[]): Der => der(0x31, ...parts);
const octets = (content: Der): Der => der(0x04, content);
const bits = (content: Der, unused = 0): Der => der(0x03, Buffer.from([unused]), content);
const utf8 = (text: string): Der => der(0x0c, Buffer.from(text, 'utf8'));
const YES = der(0x01, Buffer.from([0xff]));

/** A whole number that is not negative, in its shortest form. */
function integer(bytes: Buffer): Der {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const short = bytes.subarray(start);
  return der(0x02, ...(short[0]! & 0x80 ? [Buffer.from([0])] : []), short);
}

function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const base128 = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  };
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5). */
function time(date: Date): Der {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const commonName = (name: string): Der => sequence(set(sequence(oid('2.5.4.3'), utf8(name))));

function extension(id: string, critical: boolean, value: Der): Der {
  return sequence(oid(id), ...(critical ? [YES] : []), octets(value));
}

const keyIdentifier = (publicKey: Der): Der => createHash('sha1').update(publicKey).digest();

interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly validity: Validity;
  readonly publicKey: Der;
  readonly issuerPublicKey: Der;
  readonly extensions: readonly Der[];
}

function certificate(contents: Contents, key: KeyObject): string {
  const { subject, issuer, validity, publicKey, issuerPublicKey, extensions } = contents;
  const serial = randomBytes(16);
  // Positive, and of full length.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const signed = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_WITH_SHA256,
    commonName(issuer),
    sequence(time(validity.notBefore), time(validity.notAfter)),
    commonName(subject),
    publicKey,
    der(
      0xa3,
      sequence(
        ...extensions,
        extension('2.5.29.14', false, octets(keyIdentifier(publicKey))),
        extension('2.5.29.35', false, sequence(der(0x80, keyIdentifier(issuerPublicKey)))),
      ),
    ),
  );
  const signature = sign('sha256', signed, { key, dsaEncoding: 'der' });
  const base64 = sequence(signed, ECDSA_WITH_SHA256, bits(signature)).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function newKey(): { key: KeyObject; pem: string; publicKey: Der } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return {
    key: privateKey,
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
  };
}

/** An authority that signs itself; `name` has to differ between authorities that are trusted side by side. */
export function createAuthority(name: string, validity: Validity): Issued {
  const { key, pem, publicKey } = newKey();
  const extensions = [
    extension('2.5.29.19', true, sequence(YES)),
    // keyCertSign and cRLSign.
    extension('2.5.29.15', true, bits(Buffer.from([0x06]), 1)),
  ];
  const contents = { subject: name, issuer: name, validity, publicKey, issuerPublicKey: publicKey, extensions };
  return { certificate: certificate(contents, key), key: pem };
}

/** A certificate for both ends of a connection, under DNS names. Throws where the authority cannot be read. */
export function issueCertificate(authority: Issued, dnsNames: readonly string[], validity: Validity): Issued {
  const { pem, publicKey } = newKey();
  const issuer = new X509Certificate(authority.certificate);
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    // digitalSignature.
    extension('2.5.29.15', true, bits(Buffer.from([0x80]), 7)),
    // serverAuth and clientAuth.
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
    extension('2.5.29.17', false, sequence(...dnsNames.map((name) => der(0x82, Buffer.from(name, 'ascii'))))),
  ];
  const contents = {
    subject: dnsNames[0] ?? '',
    issuer: /^CN=(.*)$/m.exec(issuer.subject)?.[1] ?? '',
    validity,
    publicKey,
    issuerPublicKey: issuer.publicKey.export({ type: 'spki', format: 'der' }),
    extensions,
  };
  return { certificate: certificate(contents, createPrivateKey(authority.key)), key: pem };
}
