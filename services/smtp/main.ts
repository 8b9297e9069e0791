/**
 * smtp - the SMTP and LMTP client.
 *
 * Delivers requests of qmgr to the mail exchangers of a domain, to a host, or to a UNIX-domain socket (LMTP): destinations as
 * in smtp(8), by preference and with fall-back relays. Sessions are kept and used again (CONNECTION_CACHE_README). Each
 * recipient gets a status with the reply of the server; a server or network that does not work as a whole is reported so
 * that qmgr lowers its concurrency.
 *
 * `smtp` speaks SMTP and reads smtp_… parameters, `lmtp` speaks LMTP and reads lmtp_….
 *
 * Standards: RFC 5321, 1870, 2033, 2034, 2920, 3207, 3461, 3463, 4954, 6152, 6531, 7505.
 *
 * Diagnostics: one line for each recipient, one for each connection that could not be made.
 *
 * Limits: TLS levels none, may, encrypt, verify and secure (no DANE, no fingerprints, no policy table); SASL
 * mechanisms CRAM-MD5, PLAIN and LOGIN; no header_checks; 8-bit content goes as it is to a server without 8BITMIME.
 */
import { ownAddresses } from '../../lib/config/own-addresses.ts';
import { Resolver } from '../../lib/dns/resolver.ts';
import { deliveryAgent } from '../../lib/server/delivery-agent.ts';
import type { ServiceDefinition } from '../../lib/server/service.ts';
import { tableContext } from '../../lib/server/table-context.ts';
import { openMaps } from '../../lib/tables/open.ts';
import { SmtpAgent } from './agent.ts';
import { GENERIC_PARAMETERS, openGeneric } from './generic.ts';
import { compileSettings, type Protocol, parameterNames } from './settings.ts';

function client(protocol: Protocol): ServiceDefinition {
  return deliveryAgent({
    name: protocol,
    parameters: [...parameterNames(protocol), ...GENERIC_PARAMETERS, `${protocol}_generic_maps`],
    async open(context) {
      const parameter = `${protocol}_sasl_password_maps`;
      const passwords = await openMaps(parameter, context.configuration.text(parameter), tableContext(context));
      const settings = compileSettings(context.configuration, protocol, passwords);
      const dns = new Resolver({ servers: context.configuration.list('postfleet_dns_servers') });
      const own = new Set(await ownAddresses(context.configuration));
      const generic = await openGeneric(context.configuration, `${protocol}_generic_maps`, tableContext(context), () =>
        context.clients.rewrite(),
      );
      return new SmtpAgent({ context, settings, dns, generic, isOwnAddress: (address) => own.has(address) });
    },
  });
}

export const service = client('smtp');
export const lmtp = client('lmtp');
