/**
 * A kept, bound connection to one of the LDAP servers that a table names; opened with the first search, opened anew after a
 * failure (ldap_table(5), server_host, bind, start_tls).
 */
import { readFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, type ClientOptions, type Entry, type SearchOptions } from 'ldapts';
import { BLANK, splitOutsideBraces } from '../util/split.ts';
import type { ClientSettings } from './client-settings.ts';
import { systemErrorText } from './file-value.ts';
import { TableError, TableOpenError } from './table.ts';

interface LdapServer {
  readonly url: string;
  /** Path of a Unix-domain socket, for ldapi: URLs. */
  readonly socket?: string;
}

interface BindSettings {
  readonly kind: 'none' | 'simple' | 'sasl';
  readonly dn: string;
  readonly password: string;
  readonly mechanism: string;
}

export class LdapConnection {
  readonly #servers: readonly LdapServer[];
  readonly #bind: BindSettings;
  readonly #startTls: boolean;
  readonly #tls: ConnectionOptions;
  readonly #timeoutMs: number;
  #client: Promise<Client> | undefined;

  /** Throws TableOpenError where a setting is wrong. */
  constructor(settings: ClientSettings) {
    this.#servers = readServers(settings);
    this.#bind = readBind(settings);
    this.#startTls = settings.boolean('start_tls', false);
    this.#tls = readTls(settings);
    this.#timeoutMs = settings.integer('timeout', 10, 1) * 1000;
  }

  /** Searches once more on a new connection where the kept one fails. Rejects with TableError. */
  async search(base: string, options: SearchOptions): Promise<Entry[]> {
    const wasKept = this.#client !== undefined;
    try {
      return await this.#searchOnce(base, options);
    } catch (error) {
      if (isNoSuchObject(error)) return [];
      await this.close();
      if (!wasKept) throw asTableError(error);
    }
    try {
      return await this.#searchOnce(base, options);
    } catch (error) {
      if (isNoSuchObject(error)) return [];
      await this.close();
      throw asTableError(error);
    }
  }

  async #searchOnce(base: string, options: SearchOptions): Promise<Entry[]> {
    this.#client ??= this.#connect();
    const client = await this.#client;
    return (await client.search(base, { ...options, timeLimit: Math.ceil(this.#timeoutMs / 1000) })).searchEntries;
  }

  /** The first server that lets the table bind. */
  async #connect(): Promise<Client> {
    let last: unknown;
    for (const server of this.#servers) {
      const client = new Client(this.#clientOptions(server));
      try {
        if (this.#startTls) await client.startTLS(this.#tls);
        await this.#bindTo(client);
        return client;
      } catch (error) {
        last = error;
        await client.unbind().catch(() => undefined);
      }
    }
    throw last;
  }

  #clientOptions(server: LdapServer): ClientOptions {
    const { socket } = server;
    return {
      url: server.url,
      timeout: this.#timeoutMs,
      connectTimeout: this.#timeoutMs,
      strictDN: false,
      ...(server.url.startsWith('ldaps:') ? { tlsOptions: this.#tls } : {}),
      ...(socket === undefined ? {} : { createConnection: (() => connectSocket(socket)) as typeof connectSocket }),
    };
  }

  async #bindTo(client: Client): Promise<void> {
    const { kind, dn, password, mechanism } = this.#bind;
    if (kind === 'simple') await client.bind(dn, password);
    else if (kind === 'sasl') await client.bindSASL(mechanism, password);
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    // What could not be opened needs no closing.
    await client?.then((open) => open.unbind()).catch(() => undefined);
  }
}

function asTableError(error: unknown): TableError {
  return new TableError(error instanceof Error ? error.message : String(error));
}

/** The search base does not exist: nothing is found there. */
function isNoSuchObject(error: unknown): boolean {
  return (error as { code?: unknown }).code === 32;
}

function readServers(settings: ClientSettings): LdapServer[] {
  const port = settings.integer('server_port', 389, 1);
  return splitOutsideBraces(settings.text('server_host', 'localhost'), `${BLANK},`).map((name) => {
    if (name.startsWith('ldapi://'))
      return { url: 'ldap://localhost', socket: decodeURIComponent(name.slice(8)).replace(/\/$/, '') };
    if (/^ldaps?:\/\//.test(name)) return { url: name.replace(/\/+$/, '') };
    return { url: /:\d+$/.test(name) ? `ldap://${name}` : `ldap://${name}:${port}` };
  });
}

function readBind(settings: ClientSettings): BindSettings {
  const text = settings.text('bind', 'yes').toLowerCase();
  const kinds: Readonly<Record<string, BindSettings['kind']>> = {
    yes: 'simple',
    simple: 'simple',
    no: 'none',
    none: 'none',
    sasl: 'sasl',
  };
  const kind = Object.hasOwn(kinds, text) ? kinds[text] : undefined;
  if (kind === undefined)
    throw new TableOpenError(`${settings.source}: bad value for bind: "${text}": expected yes, no or sasl`);
  return {
    kind,
    dn: settings.text('bind_dn'),
    password: settings.text('bind_pw'),
    mechanism: splitOutsideBraces(settings.text('sasl_mechs', 'PLAIN'))[0]!.toUpperCase(),
  };
}

function readTls(settings: ClientSettings): ConnectionOptions {
  const file = (name: string): string | undefined => {
    const path = settings.text(name);
    if (path === '') return undefined;
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new TableOpenError(`open ${path}: ${systemErrorText(error)}`);
    }
  };
  const [ca, cert, key] = [file('tls_ca_cert_file'), file('tls_cert'), file('tls_key')];
  return {
    rejectUnauthorized: settings.boolean('tls_require_cert', false),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(settings.isSet('tls_cipher_suite') ? { ciphers: settings.text('tls_cipher_suite') } : {}),
  };
}
