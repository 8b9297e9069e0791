/**
 * Domain names between Unicode and ASCII form: non-transitional IDNA2008 as UTS #46 defines it, with its checks. Results,
 * also negative ones, are remembered, so a name that cannot be converted is reported once.
 */
import { toASCII, toUnicode } from 'tr46';

const OPTIONS = {
  checkBidi: true,
  checkHyphens: true,
  checkJoiners: true,
  useSTD3ASCIIRules: false,
  transitionalProcessing: false,
};

const CACHE_SIZE = 500;
const MAX_LABEL = 63;
const MAX_NAME = 253;

export interface DomainConverterOptions {
  warn(text: string): void;
}

export class DomainConverter {
  readonly #warn: (text: string) => void;
  readonly #ascii = new Map<string, string | undefined>();
  readonly #unicode = new Map<string, string | undefined>();

  constructor(options: DomainConverterOptions) {
    this.#warn = options.warn;
  }

  /** `δοκιμή.example` → `xn--jxalpdlp.example`; undefined where the name is none. */
  toAscii(name: string): string | undefined {
    return remember(this.#ascii, name, () => {
      const ascii = toASCII(name, { ...OPTIONS, verifyDNSLength: false });
      const problem = ascii === null ? problemOf(name) : lengthProblem(ascii);
      if (problem === undefined) return ascii!;
      this.#report('midna_domain_to_ascii_create', name, 'ASCII', problem);
      return undefined;
    });
  }

  /** `xn--jxalpdlp.example` → `δοκιμή.example`; undefined where the name is none, or has no valid ASCII form. */
  toUtf8(name: string): string | undefined {
    return remember(this.#unicode, name, () => {
      const { domain, error } = toUnicode(name, OPTIONS);
      if (!error) return this.toAscii(domain) === undefined ? undefined : domain;
      this.#report('midna_domain_to_utf8_create', name, 'UTF8', problemOf(name));
      return undefined;
    });
  }

  #report(operation: string, name: string, form: string, problem: string): void {
    this.#warn(`${operation}: Problem translating domain "${name.slice(0, 100)}" to ${form} form: ${problem}`);
  }
}

function remember(
  cache: Map<string, string | undefined>,
  name: string,
  compute: () => string | undefined,
): string | undefined {
  if (cache.has(name)) return cache.get(name);
  const value = compute();
  if (cache.size >= CACHE_SIZE) cache.delete(cache.keys().next().value!);
  cache.set(name, value);
  return value;
}

function lengthProblem(ascii: string): string | undefined {
  const labels = ascii.split('.');
  if (labels.at(-1) === '') labels.pop();
  if (labels.includes('')) return 'UIDNA_ERROR_EMPTY_LABEL';
  if (labels.some((label) => label.length > MAX_LABEL)) return 'UIDNA_ERROR_LABEL_TOO_LONG';
  return labels.join('.').length > MAX_NAME ? 'UIDNA_ERROR_DOMAIN_NAME_TOO_LONG' : undefined;
}

/** Which rule of UTS #46 the name breaks, under the name that ICU has for it. */
function problemOf(name: string): string {
  const labels = name.split(/[.\u3002\uff0e\uff61]/);
  if (labels.some((label) => label.startsWith('-'))) return 'UIDNA_ERROR_LEADING_HYPHEN';
  if (labels.some((label) => label.endsWith('-'))) return 'UIDNA_ERROR_TRAILING_HYPHEN';
  if (labels.some((label) => label.slice(2, 4) === '--' && !/^xn--/i.test(label))) return 'UIDNA_ERROR_HYPHEN_3_4';
  if (labels.some((label) => /^\p{M}/u.test(label))) return 'UIDNA_ERROR_LEADING_COMBINING_MARK';
  if (labels.some((label) => /^xn--/i.test(label))) return 'UIDNA_ERROR_INVALID_ACE_LABEL';
  if (labels.some((label) => /[\u200c\u200d]/.test(label))) return 'UIDNA_ERROR_CONTEXTJ';
  if (toASCII(name, { ...OPTIONS, checkBidi: false }) !== null) return 'UIDNA_ERROR_BIDI';
  return 'UIDNA_ERROR_DISALLOWED';
}
