/**
 * Clients of a running instance for commands, which are no part of it: where services answer and the token that they want
 * stand in main.cf or in the environment (POSTFLEET_RPC_ADDRESS, POSTFLEET_RPC_TOKEN_FILE).
 *
 * Opens no connection before a call is made. Throws Unavailable where no instance is named, and FatalError for a token
 * that may not be read.
 */
import { readFileSync } from 'node:fs';
import type { Configuration } from '../config/settings.ts';
import { EX, FatalError } from '../util/errors.ts';
import { RemoteClients } from './grpc.ts';
import { Unavailable } from './protocols.ts';
import { channelCredentials } from './rpc-certificates.ts';

export function connectServices(configuration: Configuration): RemoteClients {
  const address = configuration.text('postfleet_rpc_address');
  const path = configuration.text('postfleet_rpc_token_file');
  if (address === '' || path === '') throw new Unavailable('no running instance was found');
  const credentials = channelCredentials(configuration.text('postfleet_rpc_tls_directory'));
  return new RemoteClients({ address, token: readToken(path), credentials });
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Unavailable('no running instance was found', { cause: error });
    throw new FatalError(`postfleet_rpc_token_file: ${message}`, { cause: error, exitCode: EX.NOPERM });
  }
}
