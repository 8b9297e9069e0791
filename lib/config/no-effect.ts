/**
 * Postfix parameters that are accepted and have no effect here, each with the reason: what corresponds to them in this
 * architecture, or why nothing does. postconf, the MailServer status and docs/parameters.md print these sentences.
 * A parameter stands either here or names a service that reads it; a test keeps the two apart and complete.
 */

export const noEffect: readonly { readonly reason: string; readonly names: readonly string[] }[] = [
  {
    reason: 'Queue ids always have the long form, which is never used twice.',
    names: ['enable_long_queue_ids'],
  },
  {
    reason: 'The deferred recipients of a site are found by one query; there are no logs of sites to refresh or purge.',
    names: ['fast_flush_purge_time', 'fast_flush_refresh_time'],
  },
  {
    reason:
      'Each delivery agent keeps its connections itself and is asked by the queue manager for the same destinations.',
    names: [
      'connection_cache_protocol_timeout',
      'connection_cache_service_name',
      'connection_cache_status_update_time',
      'connection_cache_ttl_limit',
    ],
  },
  {
    reason:
      'Nothing writes through proxymap: a service that changes a table opens it itself, and Postgres keeps the changes of several apart.',
    names: ['proxy_write_maps'],
  },
  {
    reason: 'There are no terminals of local users on this host to notify.',
    names: ['biff'],
  },
  {
    reason: 'Services hold no lock files with process numbers; the lease of a shard is a row in Postgres.',
    names: ['process_id_directory'],
  },
  {
    reason: 'DNS is asked by a client of this project that reads the time to live of negative answers itself.',
    names: ['dns_ncache_ttl_fix_enable'],
  },
  {
    reason:
      "Indexed tables are rows in Postgres or a local index of this project's own; no Berkeley DB or LMDB library reads them, so its buffer sizes and its migration tools have nothing to work on.",
    names: [
      'berkeley_db_create_buffer_size',
      'berkeley_db_read_buffer_size',
      'lmdb_map_size',
      'non_bdb_custom_mapping',
      'non_bdb_migration_allow_root_prefixes',
      'non_bdb_migration_allow_user_prefixes',
      'non_bdb_migration_level',
      'non_bdb_migration_log_redirect',
      'non_bdb_migration_service_name',
    ],
  },
  {
    reason: 'The queue is a log and a database, not a tree of directories and files.',
    names: [
      'backwards_bounce_logfile_compatibility',
      'dont_remove',
      'hash_queue_depth',
      'hash_queue_names',
      'queue_file_attribute_count_limit',
      'trigger_timeout',
    ],
  },
  {
    reason:
      'Services run until they are stopped; they are not forked per request, nor do they end after a number of requests or an idle time.',
    names: ['application_event_drain_time', 'fork_attempts', 'fork_delay', 'max_idle', 'max_use'],
  },
  {
    reason: 'A stuck service is found by its liveness probe; there is no watchdog timer inside the process.',
    names: [
      'daemon_timeout',
      'postlogd_watchdog_timeout',
      'postscreen_watchdog_timeout',
      'qmgr_daemon_timeout',
      'tlsproxy_watchdog_timeout',
    ],
  },
  {
    reason: 'Calls between services share long-lived connections that need no renewal.',
    names: ['ipc_idle', 'ipc_ttl', 'qmgr_ipc_timeout'],
  },
  {
    reason:
      'Each instance is started with its own configuration directory, or is a MailServer of its own; there is no manager of instances.',
    names: [
      'alternate_config_directories',
      'multi_instance_directories',
      'multi_instance_enable',
      'multi_instance_group',
      'multi_instance_wrapper',
      'postmulti_control_commands',
      'postmulti_start_commands',
      'postmulti_stop_commands',
    ],
  },
  {
    reason:
      'Log lines go to standard output, where the container runtime or the service manager keeps and rotates them.',
    names: [
      'maillog_file',
      'maillog_file_compressor',
      'maillog_file_permissions',
      'maillog_file_prefixes',
      'maillog_file_rotate_suffix',
      'postlog_service_name',
      'syslog_facility',
    ],
  },
  {
    reason:
      'Programs and pages are found through the package or the image, not through main.cf; the value is kept for scripts that ask postconf for it.',
    names: [
      'command_directory',
      'daemon_directory',
      'html_directory',
      'mailq_path',
      'manpage_directory',
      'meta_directory',
      'newaliases_path',
      'readme_directory',
      'sample_directory',
      'sendmail_path',
      'shlib_directory',
    ],
  },
  {
    reason:
      'Mail is submitted over a socket or by a command of the one user that everything runs as; there is no set-gid command.',
    names: ['setgid_group'],
  },
  {
    reason: 'OpenSSL inside Node seeds itself from the operating system and reads no random data of ours.',
    names: [
      'tls_daemon_random_bytes',
      'tls_random_bytes',
      'tls_random_exchange_name',
      'tls_random_prng_update_period',
      'tls_random_reseed_period',
      'tls_random_source',
    ],
  },
  {
    reason:
      'The TLS library is the one inside Node; it reads no OpenSSL configuration file and has no export, low-grade or 512-bit key exchange.',
    names: [
      'openssl_path',
      'postscreen_tls_dh512_param_file',
      'smtpd_tls_dh512_param_file',
      'tls_config_file',
      'tls_config_name',
      'tls_export_cipherlist',
      'tls_fast_shutdown_enable',
      'tls_low_cipherlist',
    ],
  },
  {
    reason: 'The process that holds the connection speaks TLS itself; there is no TLS proxy process.',
    names: [
      'tlsproxy_client_CAfile',
      'tlsproxy_client_CApath',
      'tlsproxy_client_cert_file',
      'tlsproxy_client_chain_files',
      'tlsproxy_client_dcert_file',
      'tlsproxy_client_dkey_file',
      'tlsproxy_client_eccert_file',
      'tlsproxy_client_eckey_file',
      'tlsproxy_client_enforce_tls',
      'tlsproxy_client_fingerprint_digest',
      'tlsproxy_client_key_file',
      'tlsproxy_client_loglevel',
      'tlsproxy_client_per_site',
      'tlsproxy_client_policy_maps',
      'tlsproxy_client_scert_verifydepth',
      'tlsproxy_client_security_level',
      'tlsproxy_client_use_tls',
      'tlsproxy_enforce_tls',
      'tlsproxy_service_name',
      'tlsproxy_tls_CAfile',
      'tlsproxy_tls_CApath',
      'tlsproxy_tls_always_issue_session_ids',
      'tlsproxy_tls_ask_ccert',
      'tlsproxy_tls_ccert_verifydepth',
      'tlsproxy_tls_cert_file',
      'tlsproxy_tls_chain_files',
      'tlsproxy_tls_ciphers',
      'tlsproxy_tls_dcert_file',
      'tlsproxy_tls_dh1024_param_file',
      'tlsproxy_tls_dh512_param_file',
      'tlsproxy_tls_dkey_file',
      'tlsproxy_tls_eccert_file',
      'tlsproxy_tls_eckey_file',
      'tlsproxy_tls_eecdh_grade',
      'tlsproxy_tls_enable_rpk',
      'tlsproxy_tls_exclude_ciphers',
      'tlsproxy_tls_fingerprint_digest',
      'tlsproxy_tls_key_file',
      'tlsproxy_tls_loglevel',
      'tlsproxy_tls_mandatory_ciphers',
      'tlsproxy_tls_mandatory_exclude_ciphers',
      'tlsproxy_tls_mandatory_protocols',
      'tlsproxy_tls_protocols',
      'tlsproxy_tls_req_ccert',
      'tlsproxy_tls_security_level',
      'tlsproxy_use_tls',
    ],
  },
  {
    reason: 'QMQP is not spoken; use SMTP.',
    names: ['qmqpd_authorized_clients', 'qmqpd_client_port_logging', 'qmqpd_error_delay', 'qmqpd_timeout'],
  },
  {
    reason: 'Cyrus SASL needs a library that Node cannot load; authentication uses Dovecot or the mechanisms built in.',
    names: ['cyrus_sasl_config_path', 'send_cyrus_sasl_authzid'],
  },
  {
    reason: 'A debugger attaches to Node through its inspector.',
    names: ['debugger_command', 'fault_injection_code'],
  },
  {
    reason: 'Mail tools of SunOS 4 are not served.',
    names: ['sun_mailtool_compatibility'],
  },
  {
    reason: 'Socket buffers are sized by the kernel; Node offers no way to set them before a connection is made.',
    names: ['tcp_windowsize'],
  },
  {
    reason: 'The queue takes in mail at the speed of its log; a client is slowed down by the answer it waits for.',
    names: ['in_flow_delay'],
  },
  {
    reason:
      'Deferred mail is found by an index the moment its time is up; no scan of the deferred queue has to be waited for.',
    names: ['queue_run_delay'],
  },
  {
    reason: 'Obsolete in Postfix itself: the scheduler shares its slots in another way.',
    names: ['qmgr_fudge_factor'],
  },
];
