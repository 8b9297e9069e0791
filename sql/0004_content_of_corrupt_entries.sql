-- The log is trimmed past an entry that was set aside, for no row of message names it: its content is kept beside its
-- envelope, and the subjects of its chunks in the CONTENT stream, so that these are not swept.
alter table corrupt
  add column content bytea not null default '',
  add column subjects text[] not null default '{}';
