-- The queue's metadata. Content never comes here: an entry lies in a log (a JetStream stream) and its row says where.
--
-- A row of "message" or "recipient" exists exactly as long as something remains to be done, so every count, floor and
-- poll below is an index look-up whose cost does not grow with what was delivered.

-- One row for each life of a stream: a stream that was deleted and made anew is another log.
create table log (
  log       integer generated always as identity primary key,
  shard     integer not null,
  kind      text not null check (kind in ('incoming', 'deferred')),
  stream    text not null,
  created   text not null,
  unique (stream, created)
);

-- A shard belongs to one qmgr at a time: the lease is judged by this server's clock alone. applied_sequence moves in the
-- transaction that inserts the rows of the frames up to it; applied_frame names the last of them, so that a stream that
-- was restored or replaced is noticed.
create table shard (
  shard             integer primary key,
  owner             text,
  epoch             bigint not null default 0,
  lease_until       timestamptz not null default '-infinity',
  incoming_log      integer references log,
  applied_sequence  bigint not null default 0,
  applied_frame     text not null default '',
  trimmed_sequence  bigint not null default 0
);

-- The qmgr replicas that are alive: shards are spread over them.
create table shard_owner (
  owner       text primary key,
  alive_until timestamptz not null
);

-- A message's key is the address of its entry: the log, the sequence of the frame, the position in the frame. at_log is
-- null while it still lies there. undone counts recipients of every shard; a message with undone = 0 waits for a notice.
create table message (
  log                integer not null,
  sequence           bigint not null,
  entry              integer not null,
  shard              integer not null,
  undone             integer not null,
  queue_id           text collate "C" not null,
  sender             bytea not null,
  arrival_time       timestamptz not null,
  size               bigint not null,
  hold               boolean not null default false,
  delay_notified     boolean not null default false,
  at_log             integer,
  at_sequence        bigint,
  at_entry           integer,
  content_subject    text,
  primary key (log, sequence, entry)
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 1);

create index message_moved on message (at_log, at_sequence) where at_log is not null;
create index message_finishing on message (shard) where undone = 0;
create index message_by_queue_id on message (queue_id);
create index message_by_content on message (content_subject) where content_subject is not null;

-- next_attempt is 'infinity' while a qmgr has the recipient in its active queue, and for what is on hold; whoever takes a
-- shard over finds the active ones there.
create table recipient (
  log           integer not null,
  sequence      bigint not null,
  entry         integer not null,
  recipient     integer not null,
  shard         integer not null,
  next_attempt  timestamptz not null default 'infinity',
  attempts      integer not null default 0,
  address       bytea not null,
  transport     text collate "C" not null,
  nexthop       text collate "C" not null,
  status        text,
  reason        bytea,
  remote_mta    text,
  primary key (log, sequence, entry, recipient)
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 1);

create index recipient_due on recipient (shard, next_attempt);

-- What bounce(8) makes notices of, written in the transaction that commits the status. kind: 1 bounce, 2 delay, 3 trace.
create table bounce_log (
  log                     integer not null,
  sequence                bigint not null,
  entry                   integer not null,
  kind                    smallint not null,
  recipient               integer not null,
  address                 bytea not null,
  original_address        bytea not null,
  dsn_original_recipient  bytea not null,
  dsn_notify              integer not null,
  status                  text not null,
  action                  text not null,
  reason                  bytea not null,
  diagnostic_type         text not null,
  diagnostic_text         bytea not null,
  remote_mta              text not null,
  logged_at               timestamptz not null default now(),
  primary key (log, sequence, entry, kind, recipient)
);

-- A submission that carries a key happens once, however often it is repeated; the row outlives the message.
create table submission_key (
  key         text collate "C" primary key,
  queue_id    text collate "C" not null,
  created_at  timestamptz not null default now()
);
create index submission_key_age on submission_key (created_at);

-- Entries that could not be understood or stored; the log keeps what lies before the floor, so the bytes are kept here.
create table corrupt (
  log        integer not null,
  sequence   bigint not null,
  entry      integer not null,
  reason     text not null,
  envelope   bytea not null,
  found_at   timestamptz not null default now(),
  primary key (log, sequence, entry)
);

-- The queue for whoever reads SQL: one row a recipient.
create view mailq as
  select m.queue_id, m.arrival_time, m.size, convert_from(m.sender, 'UTF8') as sender,
         convert_from(r.address, 'UTF8') as recipient, r.transport, r.nexthop,
         case when m.hold then 'hold' when r.next_attempt = 'infinity' then 'active' else 'deferred' end as queue_name,
         r.attempts, nullif(r.next_attempt, 'infinity') as next_attempt, r.status,
         convert_from(r.reason, 'UTF8') as reason, r.shard
    from message m join recipient r using (log, sequence, entry);

create view mailq_by_destination as
  select transport, nexthop, queue_name, count(*) as recipients, min(arrival_time) as oldest
    from mailq group by transport, nexthop, queue_name;
