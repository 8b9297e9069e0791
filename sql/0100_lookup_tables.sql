-- Lookup tables of a fleet: what postmap and postalias make of hash:, lmdb: and other indexed tables. Each process keeps a
-- copy of the tables that it uses and learns of changes by LISTEN lookup_table; what changed since its copy it reads by
-- version, so a change of ten rows among a million costs ten rows.
--
-- Rows may be changed with plain SQL as well, in transactions of any size; triggers keep versions, deletions and
-- notifications right:
--   insert into lookup_row (table_id, key, value) values (lookup_table_id('/etc/postfix/virtual'), 'info@example.com', 'ann');
--   update lookup_row set value = 'bob' where table_id = lookup_table_id('/etc/postfix/virtual') and key = 'info@example.com';
-- Keys are in lower case, as postmap folds them.

-- The name is the path of the table's source. version grows with every change; whoever changes rows holds this row's lock
-- until the end of the transaction, so versions come in the order of commits. Deletions before deletions_from are
-- forgotten: a copy that is older is read anew.
create table lookup_table (
  id              bigint generated always as identity primary key,
  name            text collate "C" not null unique,
  version         bigint not null default 0,
  deletions_from  bigint not null default 0,
  changed_at      timestamptz not null default now(),
  changed_in      xid8
);

-- No foreign key: checking it would double the time that a million rows take. The triggers keep to it.
create table lookup_row (
  table_id  bigint not null,
  key       text collate "C" not null,
  value     text not null,
  version   bigint not null default 0,
  primary key (table_id, key)
);
create index lookup_row_version on lookup_row (table_id, version);

-- Keys that are gone, for copies that still have them.
create table lookup_deleted (
  table_id  bigint not null,
  key       text collate "C" not null,
  version   bigint not null,
  primary key (table_id, key)
);
create index lookup_deleted_version on lookup_deleted (table_id, version);

-- The id of a table, which is made where there is none of that name.
create function lookup_table_id(table_name text) returns bigint language sql as $$
  insert into lookup_table (name) values (table_name) on conflict (name) do nothing;
  select id from lookup_table where name = table_name;
$$;

-- Whoever listens hears the name of a table that changed, when the change is committed. A table takes its rows along.
create function lookup_table_notify() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    delete from lookup_row where table_id = old.id;
    delete from lookup_deleted where table_id = old.id;
  end if;
  perform pg_notify('lookup_table', coalesce(new.name, old.name));
  return null;
end $$;
create trigger lookup_table_notify after insert or update or delete on lookup_table
  for each row execute function lookup_table_notify();

-- Rows changed by plain SQL. postmap sets postfleet.bulk, which spares the call, and does the same for all rows at once.
create function lookup_row_changed() returns trigger language plpgsql as $$
declare
  changed_table bigint := case when tg_op = 'DELETE' then old.table_id else new.table_id end;
  new_version bigint;
begin
  -- A transaction makes one version of a table, however many rows it changes.
  update lookup_table set version = version + 1, changed_at = now(), changed_in = pg_current_xact_id()
    where id = changed_table and changed_in is distinct from pg_current_xact_id();
  select version into new_version from lookup_table where id = changed_table;
  if not found then
    if tg_op <> 'DELETE' then
      raise exception 'lookup_row: there is no lookup_table with id %', changed_table;
    end if;
    -- The table itself is being deleted.
    return old;
  end if;
  if tg_op = 'DELETE' then
    insert into lookup_deleted (table_id, key, version) values (old.table_id, old.key, new_version)
      on conflict (table_id, key) do update set version = excluded.version;
    return old;
  end if;
  if tg_op = 'UPDATE' and (old.key <> new.key or old.table_id <> new.table_id) then
    raise exception 'lookup_row: a key does not change: delete the row and insert another';
  end if;
  delete from lookup_deleted where table_id = new.table_id and key = new.key;
  new.version := new_version;
  return new;
end $$;
create trigger lookup_row_changed before insert or update or delete on lookup_row
  for each row when (current_setting('postfleet.bulk', true) is distinct from 'on')
  execute function lookup_row_changed();
