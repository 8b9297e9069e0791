// biome-ignore-all format: one parameter a line
/**
 * Postfleet's own parameters, in the columns of the Postfix ones: name, type, default, range, since, read by, meaning.
 * Each may also be given in the environment under its name in capitals (POSTFLEET_NATS_URL).
 */
import type { ParameterRow } from '../parameters.ts';

export const postfleet: readonly ParameterRow[] = [
  ['postfleet_active_memory', 'int', '67108864', '1048576..', '', 'qmgr', 'Octets of message content that one queue manager keeps in memory; what is above it is read again from the log when its turn comes.'],
  ['postfleet_dns_servers', 'string', '', '', '', 'smtp smtpd', 'Name servers (address or address:port) to ask instead of those of the system; DANE needs validating ones.'],
  ['postfleet_http_listen', 'string', '', '', '', 'all', 'host:port where /livez, /readyz and /metrics are served; empty for none.'],
  ['postfleet_inline_limit', 'int', '262144', '4096..', '', 'bounce cleanup flush pickup showq smtpd', 'Largest message content, in bytes, that is kept in one frame of the incoming log together with its envelope.'],
  ['postfleet_lease_time', 'time', '4s', '1..', '', 'qmgr', 'How long a queue manager owns its shards without renewing the lease.'],
  ['postfleet_log_format', 'string', 'postfix', '', '', 'all', 'Form of log lines: postfix (as syslog shows them) or json.'],
  ['postfleet_log_grace', 'time', '10m', '0..', '', 'qmgr', 'How long entries of the incoming log are kept after they are no longer needed, so that a database that lost its last seconds can read them again.'],
  ['postfleet_log_grace_bytes', 'long', '1073741824', '0..', '', 'qmgr', 'Bound on the bytes that postfleet_log_grace may keep.'],
  ['postfleet_mailbox_owner', 'string', '', '', '', 'check local operator virtual', 'Owner of all mailboxes: self (whoever runs the service), a user, or uid:gid; empty: the recipient, or the service itself where root does not run it.'],
  ['postfleet_nats_monitor_url', 'string', '', '', '', 'all', 'Monitoring port of the NATS server (http://host:8222): the only place that shows whether it syncs every write.'],
  ['postfleet_nats_sync_interval', 'string', 'always', '', '', 'all', 'sync_interval of the NATS server that the embedded master starts. With anything but always accepted mail can be lost, and postfleet_weak_durability has to allow it.'],
  ['postfleet_nats_url', 'string', '', '', '', 'all', 'Addresses of the NATS servers; empty: the embedded master starts one.'],
  ['postfleet_port_map', 'string', '', '', '', 'all', 'Other ports for inet services of master.cf, as service=port pairs: smtp=2525, submission=2587.'],
  ['postfleet_postgres_url', 'string', '', '', '', 'all', 'Connection string of the Postgres database; empty: the embedded master starts one.'],
  ['postfleet_replicas', 'int', '1', '1..5', '', 'all', 'Copies of each stream: 3 on a cluster of three NATS servers.'],
  ['postfleet_rpc_address', 'string', '', '', '', 'all', 'Where services are called: unix:/path/{service}.sock or dns:///name-{service}:port; {service} stands for the name in master.cf.'],
  ['postfleet_rpc_listen', 'string', '', '', '', 'all', 'Where a service answers calls: unix:/path/{service}.sock or host:port; empty for the form of postfleet_rpc_address.'],
  ['postfleet_rpc_tls_directory', 'string', '', '', '', 'all', 'Directory with ca.crt, tls.crt and tls.key: calls between services are encrypted, and both ends show a certificate of that authority. Files that change are read again. Empty: calls carry the token alone.'],
  ['postfleet_rpc_token_file', 'string', '', '', '', 'all', 'File with the token that calls between services carry.'],
  ['postfleet_session_threads', 'int', '0', '0..64', '', 'all', 'Threads that hold SMTP sessions; 0 chooses by the number of processors.'],
  ['postfleet_shards', 'int', '1', '1..1024', '', 'all', 'Number of shards of the queue; fixed when the queue is created.'],
  ['postfleet_shutdown_delay', 'time', '5s', '0..', '', 'all', 'For how long a service that is told to end still takes connections and calls, while /readyz says that it is not ready, so that whoever sends it clients can hear of it. Where postfleet start runs it, 0 unless main.cf says otherwise.'],
  ['postfleet_shutdown_grace', 'time', '10s', '0..', '', 'all', 'For how long sessions and deliveries of a service that ends may go on after that; then sessions get 421 between two commands, and three seconds later all that is left is given up.'],
  ['postfleet_state_directory', 'string', 'var', '', '', 'all', 'Directory of the state of an instance on one machine; mailboxes lie in its mail/.'],
  ['postfleet_stream_bytes', 'long', '0', '0..', '', 'all', 'Bound of each incoming log in octets; 0 for none but the disk.'],
  ['postfleet_watch_configuration', 'bool', 'no', '', '', 'all', 'Whether a service that is a process of its own reads main.cf and master.cf again as soon as they change, as the operator for Kubernetes wants it.'],
  ['postfleet_weak_durability', 'bool', 'no', '', '', 'check cleanup master operator', 'Start although the log does not promise to be on disk when a message is accepted.'],
];
