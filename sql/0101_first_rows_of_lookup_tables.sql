-- The first rows of a table have version 0: whoever has an older copy reads all of them, since deletions_from moves along. The
-- index finds what changed later, and costs nothing while a million rows are loaded.
drop index lookup_row_version;
create index lookup_row_version on lookup_row (table_id, version) where version > 0;
