/**
 * The certificates by which services of one fleet know each other: ca.crt, tls.crt and tls.key in the directory that
 * postfleet_rpc_tls_directory names. Both ends show one. Files are looked at twice a minute, so whoever renews them need not
 * restart anybody; connections that are open go on.
 *
 * The name in every certificate is the same: who is called is decided by the address, and that it is one of the fleet by the
 * authority.
 */
import { join } from 'node:path';
import { type ChannelCredentials, experimental, type ServerCredentials } from '@grpc/grpc-js';

/** DNS name in every certificate of a fleet. */
export const FLEET_NAME = 'postfleet';
const LOOK_INTERVAL = 30_000;

function provider(directory: string): experimental.FileWatcherCertificateProvider {
  return new experimental.FileWatcherCertificateProvider({
    caCertificateFile: join(directory, 'ca.crt'),
    certificateFile: join(directory, 'tls.crt'),
    privateKeyFile: join(directory, 'tls.key'),
    refreshIntervalMs: LOOK_INTERVAL,
  });
}

/** For a client; undefined where calls are not encrypted. */
export function channelCredentials(directory: string): ChannelCredentials | undefined {
  if (directory === '') return undefined;
  const files = provider(directory);
  return experimental.createCertificateProviderChannelCredentials(files, files);
}

/** For a server, which refuses whoever shows no certificate of the fleet; undefined where calls are not encrypted. */
export function serverCredentials(directory: string): ServerCredentials | undefined {
  if (directory === '') return undefined;
  const files = provider(directory);
  return experimental.createCertificateProviderServerCredentials(files, files, true);
}
