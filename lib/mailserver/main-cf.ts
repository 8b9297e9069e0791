/** main.cf of a MailServer, one parameter a line, with the settings that a fleet needs where the spec has none. Pure. */
import type { MailServerSpec } from './schema.ts';

export interface MainLine {
  readonly name: string;
  readonly text: string;
  /** The field that it comes from; undefined for what is set here. */
  readonly field: string | undefined;
}

/** Line breaks inside a value mean what blanks mean. */
const oneLine = (value: string): string => value.replace(/\s*\n\s*/g, ' ').trim();

/** What mynetworks trusts where nothing is said. */
export const LOOPBACK = '127.0.0.0/8 [::1]/128';

/** Settings that differ from Postfix's defaults because a pod is no host. */
function fleetDefaults(spec: Pick<MailServerSpec, 'ingress'>): Record<string, string> {
  return {
    compatibility_level: '3.12',
    // The default would be the network of whatever pod reads it.
    mynetworks: LOOPBACK,
    ...(spec.ingress.proxyProtocol ? { smtpd_upstream_proxy_protocol: 'haproxy' } : {}),
  };
}

export function mainLines(spec: Pick<MailServerSpec, 'mainCf' | 'ingress'>): MainLine[] {
  const missing = Object.entries(fleetDefaults(spec)).filter(([name]) => spec.mainCf[name] === undefined);
  return [
    ...Object.entries(spec.mainCf)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => ({ name, text: `${name} = ${oneLine(value)}`.trimEnd(), field: `spec.mainCf.${name}` })),
    ...missing.map(([name, value]) => ({ name, text: `${name} = ${value}`, field: undefined })),
  ];
}
