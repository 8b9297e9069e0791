-- Octets that an entry takes in the deferred log, for its live ratio: neither the size of the content, which may lie in
-- chunks, nor that of the envelope says it. Null while the entry has not moved, or was moved by a qmgr that does not know
-- the column; the next move writes it.
alter table message add column at_octets integer;
