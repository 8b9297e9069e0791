-- postsuper -e and -f: the message goes back to its sender at its next attempt, whatever its age. A qmgr that does not know
-- the column attempts it as any other.
alter table message add column forced_expire boolean not null default false;
